"""Django's PostgreSQL backend, with the guard of `core.card_columns` in what it writes."""
