"""How requests reach Django: whole, with clean headers, on a thread of their tenant's share.

web.py       the ASGI application: reads the body, waits for a slot, runs Django in a thread
environ.py   the request as Django reads it, from headers that mean one thing each
slots.py     threads that are shared out among tenants
refusals.py  what is answered before Django is asked
"""
