"""The database engine that settings name: Django's PostgreSQL backend, with waits that end and with
the guard of `core.card_columns` in what it writes.

    base.py       connections whose every wait ends with the deadline
    compiler.py   statements that carry no card number
"""
