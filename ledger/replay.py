"""The journal of PostgreSQL onto another ledger: how a running ledger moves to a cluster.

Transfers are posted in the order of their timestamps under their own ids, so that a replay may be
cut short and begun again anywhere: what is there answers `exists`. Replayed is what is settled
(`integrity.settled_bound`): a timestamp below the newest may still be booked.

Three things cannot be posted as they stand. An expiry (flag 512) is a void there. The `linked` flag
goes, since members of a set do not stand next to each other between those of others. And a
reservation with a timeout, which would run out on the other side's clock while its capture waits
to be replayed, is posted without one, right before what settles it; those still open are left out
until the writers have stopped, and are then posted with the time that they have left. What closes
an account waits like them and is posted after them, for they must find it open.

An end may be called off, and come to once more later. Reservations that it has posted may have run
out over there meanwhile, and ours may have been captured: what settles one of them is posted alone,
and a capture that finds it run out is booked as a plain transfer, with the same effect.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace as with_changes
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from core.db import Scope, fetch_all, tenant_atomic
from core.errors import Conflict
from ledger.backends.base import BATCH_MAX, AccountSpec, Balances, Ledger, Result, TransferSpec
from ledger.flags import AccountFlags, TransferFlags
from ledger.models import Account, Transfer
from ledger.services import expire_pending
from ledger.services.integrity import settled_bound
from ledger.status import TransferStatus

Progress = Callable[[str], None]

#: Each row may bring the reservation that it settles.
CHUNK: Final = BATCH_MAX // 2
_PENDING: Final = int(TransferFlags.PENDING)
_SETTLES: Final = int(TransferFlags.POST_PENDING | TransferFlags.VOID_PENDING)
_CLOSES: Final = int(TransferFlags.CLOSING_DEBIT | TransferFlags.CLOSING_CREDIT)


class ReplayRefused(Conflict):
    """The target ledger refused a transfer that ours has booked, or its balances differ."""


def replay(target: Ledger, *, after: int = 0, progress: Progress = lambda _: None) -> int:
    """Post what is settled and newer than the timestamp `after`; up to which timestamp that was.

    Raises:
        ReplayRefused: the target says no; names the transfer. Nothing is skipped.
    """
    return _replay(_Target(target), after, progress)


def _replay(target: _Target, after: int, progress: Progress) -> int:
    bound = settled_bound()
    if bound is None:
        return after
    while after < bound.timestamp:
        rows = _rows(after, bound.timestamp)
        if not rows:
            break
        _post_rows(target, rows)
        after = rows[-1].own.timestamp
        progress(f"replayed up to {after} of {bound.timestamp}")
    return bound.timestamp


def finish(target: Ledger, *, after: int = 0, progress: Progress = lambda _: None) -> int:
    """Replay the rest and the reservations still open, once all processes have stopped posting.

    Raises:
        ReplayRefused: the target says no, or an account's balances differ from ours.
    """
    there = _Target(target)
    expire_pending()
    up_to = _replay(there, after, progress)
    _post_open(there, _open_reservations)
    _post_open(there, _open_closings)
    _compare(target, progress)
    return up_to


class _Transfer(NamedTuple):
    """A row of the journal, by its columns: an object of Django's would take the most time."""

    id: UUID
    debit_account_id: UUID
    credit_account_id: UUID
    amount: int
    code: int
    pending_id: UUID | None
    timeout_s: int | None
    flags: int
    document_id: UUID | None
    effective_on: date | None
    corrects_id: UUID | None
    ledger: int
    timestamp: int
    booked_at: datetime

    @property
    def waits(self) -> bool:
        """It is posted with what settles it, or at the end."""
        return bool(self.flags & _PENDING and (self.timeout_s or self.flags & _CLOSES))


_COLUMNS: Final = _Transfer._fields


class _Row(NamedTuple):
    """A transfer, and the reservation that it settles, where that has waited for it."""

    own: _Transfer
    pending: _Transfer | None


class _Target:
    """The other ledger, and the accounts that this run has opened there."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._opened: set[UUID] = set()

    def open(self, rows: Sequence[_Transfer]) -> None:
        """Open the accounts of these transfers there, as they were opened here."""
        wanted = {t.debit_account_id for t in rows} | {t.credit_account_id for t in rows}
        wanted -= self._opened
        if not wanted:
            return
        with tenant_atomic(Scope.worker()):
            accounts = list(Account.objects.filter(id__in=wanted).order_by("id"))
        specs = [_account_spec(a) for a in accounts]
        for spec, status in zip(specs, self.ledger.open(specs), strict=True):
            if not status.ok:
                raise ReplayRefused(
                    f"Account {spec.name} ({spec.id}) is refused there. {status.words}"
                )
        self._opened |= wanted

    def post(self, specs: Sequence[TransferSpec]) -> None:
        for result in self.ledger.post(specs) if specs else ():
            # A reservation that an earlier end has brought had more time left then.
            if not result.ok and result.status is not TransferStatus.EXISTS_WITH_DIFFERENT_TIMEOUT:
                raise _refusal(result)

    def settle(self, spec: TransferSpec) -> None:
        """Post what settles a reservation that an earlier end has brought with a timeout."""
        [result] = self.ledger.post([spec])
        ran_out = result.status is TransferStatus.PENDING_TRANSFER_EXPIRED
        # Sent again after it was booked as a plain transfer.
        differs = result.status is TransferStatus.EXISTS_WITH_DIFFERENT_FLAGS
        if spec.flags & TransferFlags.VOID_PENDING and ran_out:
            return
        if spec.flags & TransferFlags.POST_PENDING and (ran_out or differs):
            plain = with_changes(spec, pending_id=None, flags=TransferFlags.NONE)
            [result] = self.ledger.post([plain])
        if not result.ok:
            raise _refusal(result)


def _refusal(result: Result) -> ReplayRefused:
    return ReplayRefused(f"Transfer {result.id} is refused there. {result.status.words}")


def _post_rows(target: _Target, rows: Sequence[_Row]) -> None:
    """Post a stretch of the journal in its order."""
    target.open([row.own for row in rows])
    waited = [row.pending.id for row in rows if row.pending]
    there = target.ledger.transfers(waited) if waited else []
    timed = {t.id for t in there if t.timeout_s}
    specs: list[TransferSpec] = []
    for own, pending in rows:
        if own.waits:
            continue
        if pending and pending.id in timed:
            target.post(specs)
            specs = []
            target.settle(_spec(own))
            continue
        if pending:
            specs.append(_spec(pending))
        specs.append(_spec(own))
    target.post(specs)


def _post_open(target: _Target, open_after: Callable[[int], list[_Transfer]]) -> None:
    last = 0
    while open_ones := open_after(last):
        target.open(open_ones)
        now = timezone.now()
        target.post([_spec(t, timeout_s=_left(t, now)) for t in open_ones])
        last = open_ones[-1].timestamp


def _rows(after: int, to: int) -> list[_Row]:
    with tenant_atomic(Scope.worker()):
        found = Transfer.objects.filter(timestamp__gt=after, timestamp__lte=to)
        pending = [f"pending__{name}" for name in _COLUMNS]
        values = list(found.order_by("timestamp").values_list(*_COLUMNS, *pending)[:CHUNK])
    return [_row(v) for v in values]


def _row(values: tuple[Any, ...]) -> _Row:
    width = len(_COLUMNS)
    own = _Transfer._make(values[:width])
    if own.pending_id is None:
        return _Row(own, None)
    pending = _Transfer._make(values[width:])
    return _Row(own, pending if pending.waits else None)


def _transfers(rows: QuerySet[Transfer]) -> list[_Transfer]:
    return [_Transfer._make(v) for v in rows.order_by("timestamp").values_list(*_COLUMNS)]


def _open_reservations(after: int) -> list[_Transfer]:
    """Those with a timeout that nothing has settled, in the order of booking."""
    with tenant_atomic(Scope.worker()):
        ids = [
            row[0]
            for row in fetch_all(
                """
                SELECT t.id FROM ledger_pendingtimeout p
                  JOIN ledger_transfer t ON t.id = p.transfer_id
                 WHERE t."timestamp" > %s
                   AND NOT EXISTS (SELECT FROM ledger_transfer r WHERE r.pending_id = t.id)
                 ORDER BY t."timestamp" LIMIT %s
                """,
                [after, CHUNK],
            )
        ]
        return _transfers(Transfer.objects.filter(id__in=ids))


def _open_closings(after: int) -> list[_Transfer]:
    """Those without a timeout that keep an account closed, in the order of booking."""
    with tenant_atomic(Scope.worker()):
        ids = [
            row[0]
            for row in fetch_all(
                """
                SELECT DISTINCT t.id FROM ledger_account a, LATERAL (
                    (SELECT id, "timestamp", timeout_s FROM ledger_transfer
                      WHERE debit_account_id = a.id AND flags & 64 <> 0
                      ORDER BY booked_at DESC LIMIT 1)
                    UNION ALL
                    (SELECT id, "timestamp", timeout_s FROM ledger_transfer
                      WHERE credit_account_id = a.id AND flags & 128 <> 0
                      ORDER BY booked_at DESC LIMIT 1)) t
                 WHERE a.flags & 32 <> 0 AND t."timestamp" > %s AND t.timeout_s IS NULL
                   AND NOT EXISTS (SELECT FROM ledger_transfer r WHERE r.pending_id = t.id)
                """,
                [after],
            )
        ]
        return _transfers(Transfer.objects.filter(id__in=ids))[:CHUNK]


@functools.cache
def _flags_there(flags: int) -> TransferFlags:
    found = TransferFlags(flags) & ~TransferFlags.LINKED
    return TransferFlags.VOID_PENDING if found & TransferFlags.EXPIRED else found


def _spec(t: _Transfer, *, timeout_s: int | None = None) -> TransferSpec:
    return TransferSpec(
        id=t.id,
        debit=t.debit_account_id,
        credit=t.credit_account_id,
        amount_minor=t.amount,
        code=t.code,
        pending_id=t.pending_id,
        timeout_s=timeout_s,
        flags=_flags_there(t.flags),
        document_id=t.document_id,
        effective_on=t.effective_on,
        corrects=t.corrects_id,
        ledger=t.ledger,
    )


def _left(t: _Transfer, now: datetime) -> int | None:
    """Whole seconds until it expires, at least one; none where it does not."""
    if not t.timeout_s:
        return None
    gone = (now - t.booked_at).total_seconds()
    return max(1, math.ceil(t.timeout_s - gone))


def _account_spec(a: Account) -> AccountSpec:
    return AccountSpec(
        id=a.id,
        name=a.name,
        code=a.code,
        ledger=a.ledger,
        # Closed by a transfer, which is replayed too.
        flags=AccountFlags(a.flags) & ~AccountFlags.CLOSED,
        user_data=a.user_data,
    )


def _compare(target: Ledger, progress: Progress) -> None:
    """Every account in both, by its four balances."""
    last: Any = None
    compared = 0
    while True:
        with tenant_atomic(Scope.worker()):
            rows = Account.objects.filter(last_booked_at__isnull=False).order_by("id")
            accounts = list(rows.filter(id__gt=last)[:CHUNK] if last else rows[:CHUNK])
        if not accounts:
            progress(f"all {compared} accounts that have moved agree in both ledgers")
            return
        there = {b.id: _sums(b) for b in target.accounts([a.id for a in accounts])}
        for a in accounts:
            if there.get(a.id) != _sums(a):
                raise ReplayRefused(
                    f"Account {a.name} ({a.id}) has {there.get(a.id)} in the target and"
                    f" {_sums(a)} here (debits pending and posted, credits pending and posted)."
                )
        compared += len(accounts)
        last = accounts[-1].id


def _sums(a: Account | Balances) -> tuple[int, int, int, int]:
    return a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted
