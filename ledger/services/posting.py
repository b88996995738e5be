"""Writing the ledger inside a caller's transaction.

State, audit, event and transfers commit together: a service posts with `post` or `post_or_raise`
in its `tenant_atomic` block, as the last statement before the commit, because the accounts stay
locked until then. Batches that need no other write go through `ledger.backends` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import connection

from core.db import (
    Scope,
    ScopeError,
    after_commit,
    current_scope,
    execute_prepared,
    execute_with_commit,
    fetch_one,
    numbered,
    tenant_atomic,
)
from core.errors import Conflict
from ledger.backends import pgwire
from ledger.backends.base import (
    AccountSpec,
    Result,
    TransferSpec,
)
from ledger.backends.opened import OPENED
from ledger.backends.wire import (
    KNOWN_SQL,
    OPEN_SQL,
    POST_SQL,
    account_columns,
    check_batch,
    references,
    results,
    transfer_columns,
)
from ledger.chart import AccountRef
from ledger.status import ACCOUNT_BY_NUMBER, AccountStatus, TransferStatus

#: The SQLSTATE of `ledger_post_all` (ledger/sql).
REFUSED: Final = "M0002"
_POST_ALL: Final = "SELECT " + POST_SQL.replace("ledger_post(", "ledger_post_all(")


class LedgerRefused(Conflict):
    """The ledger did not book a transfer; nothing of its linked set was booked.

    `transfer_id` names the member that failed, `result_status` says why (and its name is the code),
    `details` both in words.
    """

    def __init__(self, transfer_id: UUID, status: TransferStatus) -> None:
        super().__init__(
            f"The ledger refused transfer {transfer_id}. {status.words}",
            code=status.name.lower(),
            details={"transfer": str(transfer_id), "reason": status.words},
        )
        self.transfer_id = transfer_id
        self.result_status = status


def _statement(
    transfers: Sequence[TransferSpec], accounts: Sequence[AccountRef]
) -> tuple[str, list[Any]]:
    check_batch(transfers)
    params: list[Any] = []
    columns = POST_SQL
    if accounts:
        columns = f"{OPEN_SQL}, {POST_SQL}"
        params += account_columns(accounts)
    params += pgwire.posting(transfer_columns(transfers))
    return f"SELECT {columns}", params


def post(transfers: Sequence[TransferSpec]) -> list[Result]:
    """Book a batch in the open transaction; every transfer gets its own answer.

    A transfer that fails does not fail the others, unless they are linked. Accounts given by
    reference are opened on first use, in the same round trip.

    Raises:
        ScopeError: no `tenant_atomic` is open.
        InvalidRequest: the batch is too large, or an amount beyond 64 bits.
    """
    if current_scope() is None:
        raise ScopeError("post() needs tenant_atomic()")
    if not transfers:
        return []
    unopened = _unopened(transfers)
    sql, params = _statement(transfers, unopened)
    row = execute_prepared(numbered(sql), params)[0]
    if unopened:
        _remember(unopened)
    return results(transfers, row[-1])


def _unopened(transfers: Sequence[TransferSpec]) -> list[AccountRef]:
    """The accounts named by reference that this process has not seen committed."""
    place = connection.settings_dict["NAME"]
    return [ref for ref in references(transfers) if not OPENED.holds(place, ref.id)]


def _remember(accounts: Sequence[AccountRef]) -> None:
    """Once the open transaction has committed."""
    place = connection.settings_dict["NAME"]
    after_commit(lambda: OPENED.add(place, [ref.id for ref in accounts]))


def post_with_commit(transfers: Sequence[TransferSpec]) -> None:
    """As `post_or_raise`, in the same round trip as the COMMIT of the open `tenant_atomic`.

    The accounts are then locked for no round trip to us. LedgerRefused comes at the block's end,
    and a linked set that is sent again is refused (its first member exists): for callers whose own
    guarded write, in the same transaction, detects a repetition already.
    """
    if not transfers:
        return
    unopened = _unopened(transfers)
    if unopened:
        execute_prepared(numbered(f"SELECT {OPEN_SQL}"), account_columns(unopened))
        _remember(unopened)
    check_batch(transfers)

    def explain(error: psycopg.Error) -> LedgerRefused | None:
        if error.sqlstate != REFUSED:
            return None
        answers = [int(part) for part in (error.diag.message_detail or "").split(",")]
        culprit = _culprit(results(transfers, answers))
        assert culprit is not None
        return LedgerRefused(culprit.id, culprit.status)

    execute_with_commit(numbered(_POST_ALL), pgwire.posting(transfer_columns(transfers)), explain)


def post_or_raise(transfers: Sequence[TransferSpec]) -> list[Result]:
    """Book a batch in which every transfer must succeed; booked before counts as booked.

    Raises:
        LedgerRefused: a transfer failed; names the one at fault, not those that failed with it.
            Caught and committed, it leaves its id refused for ever; a rollback forgets it.
    """
    answers = post(transfers)
    culprit = _culprit(answers)
    if culprit is None:
        return answers
    if culprit.status is TransferStatus.LINKED_EVENT_FAILED and _booked_before(transfers, answers):
        return [Result(spec.id, TransferStatus.EXISTS) for spec in transfers]
    raise LedgerRefused(culprit.id, culprit.status)


def _culprit(answers: Sequence[Result]) -> Result | None:
    """The member at fault, not those that failed with it."""
    culprit: Result | None = None
    for answer in answers:
        if not answer.ok and (
            culprit is None or culprit.status is TransferStatus.LINKED_EVENT_FAILED
        ):
            culprit = answer
    return culprit


def _booked_before(transfers: Sequence[TransferSpec], answers: Sequence[Result]) -> bool:
    """Whether every member of the sets that failed was booked before, as it is now asked for.

    The first member of a set that is sent again answers `exists`, which fails the set; the others
    are never looked at. Each is therefore asked for alone, which books nothing when it exists.
    """
    known = {answer.id for answer in answers if answer.status is TransferStatus.EXISTS}
    rest = [spec for spec in transfers if spec.id not in known]
    if len(known) == 0 or not rest:
        return not rest
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {KNOWN_SQL}",
            transfer_columns(rest),
        )
        row = cursor.fetchone()
    return all(status == TransferStatus.EXISTS for status in row[0])


def open_accounts(accounts: Sequence[AccountRef | AccountSpec]) -> list[AccountStatus]:
    """Open accounts in the open transaction; each gets an answer."""
    if current_scope() is None:
        raise ScopeError("open_accounts() needs tenant_atomic()")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {OPEN_SQL}", account_columns(accounts))
        row = cursor.fetchone()
    return [ACCOUNT_BY_NUMBER[value] for value in row[0]]


def expire_pending(*, limit: int = 1000) -> int:
    """Release pending transfers whose time is up, in transactions of `limit`; how many were."""
    released = 0
    while True:
        with tenant_atomic(Scope.worker()):
            row = fetch_one("SELECT due, released FROM ledger_expire(%s)", [limit])
        assert row is not None
        released += int(row[1])
        # Loops on `due`: captured reservations count although nothing is released.
        if row[0] < limit:
            return released
