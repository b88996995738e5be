"""The sandbox: a provider like the others, whose own bank lives in our database.

``adapter`` is our side of the wire. ``server`` and ``vault`` are the provider's side: they own the
`sandbox*` tables, answer deterministically by test card, and are known only through the adapter,
the challenge page and signed webhooks.
"""
