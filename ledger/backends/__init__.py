"""Where the ledger is kept: PostgreSQL by default, a TigerBeetle cluster by choice."""
