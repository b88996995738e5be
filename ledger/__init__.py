"""What is owed to whom, in double entry.

- `backends`: the interface to a ledger: PostgreSQL, TigerBeetle
- `chart`: the chart of accounts, ledger numbers, names and ids
- `documents`: how the document behind a transfer is called
- `flags`: flags of accounts and transfers
- `replay`: the journal onto another ledger
- `statement_filter`: which lines of a statement are wanted
- `statement_paper`: an account's statement for print
- `status`: what became of a transfer, in words
"""
