"""Reading the ledger. Every function runs inside `tenant_atomic`: a merchant sees its own alone.

Lists name the tenant in the query as well as the policies do; both walls stand.

- `accounts`: accounts and what is on them, now and at a time
- `balances`: a merchant's money by where it is, a reseller's earnings
- `books`: the trial balance by currency
- `cursors`: how a page names the place where the next begins
- `statements`: an account's lines
- `transfers`: the journal
"""

from ledger.selectors.accounts import (
    Balance,
    CurrencyBalance,
    TrialLine,
    account_get,
    account_title,
    accounts_page,
    accounts_visible,
    balance_as_of,
    balance_by_currency,
    balance_now,
    closed,
    currency_of,
    daily_totals,
    normal_side,
    trial_balance,
)
from ledger.selectors.statements import (
    StatementLine,
    statement_page,
    statement_stream,
)
from ledger.selectors.transfers import (
    journal,
    states_of,
    transfer_get,
    transfers_page,
    transfers_visible,
)

__all__ = [
    "Balance",
    "CurrencyBalance",
    "StatementLine",
    "TrialLine",
    "account_get",
    "account_title",
    "accounts_page",
    "accounts_visible",
    "balance_as_of",
    "balance_by_currency",
    "balance_now",
    "closed",
    "currency_of",
    "daily_totals",
    "journal",
    "normal_side",
    "statement_page",
    "statement_stream",
    "states_of",
    "transfer_get",
    "transfers_page",
    "transfers_visible",
    "trial_balance",
]
