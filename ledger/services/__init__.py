"""Every write of the ledger: `posting` is what other rooms book with, and is found here.

- `posting`: transfers inside a caller's transaction, accounts, expiry
- `corrections`: one person proposes, a second one confirms
- `fx`: a conversion with its rate
- `integrity`: the recomputation of the books from the journal
"""

from ledger.backends.base import (
    AccountSpec,
    Result,
    TransferSpec,
    covered_by,
    linked,
    post_pending,
    void_pending,
)
from ledger.backends.wire import results
from ledger.chart import AccountRef, MerchantBook, TransferCode, account_id, ledger_number
from ledger.flags import AccountFlags, TransferFlags
from ledger.services.posting import (
    LedgerRefused,
    expire_pending,
    open_accounts,
    post,
    post_or_raise,
    post_with_commit,
)
from ledger.status import AccountStatus, TransferStatus

__all__ = [
    "AccountFlags",
    "AccountRef",
    "AccountSpec",
    "AccountStatus",
    "LedgerRefused",
    "MerchantBook",
    "Result",
    "TransferCode",
    "TransferFlags",
    "TransferSpec",
    "TransferStatus",
    "account_id",
    "covered_by",
    "expire_pending",
    "ledger_number",
    "linked",
    "open_accounts",
    "post",
    "post_or_raise",
    "post_pending",
    "post_with_commit",
    "results",
    "void_pending",
]
