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
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from core.db import Scope, fetch_all, tenant_atomic
from core.errors import Conflict
from ledger.backends.base import BATCH_MAX, AccountSpec, Balances, Ledger, TransferSpec
from ledger.flags import AccountFlags, TransferFlags
from ledger.models import Account, Transfer
from ledger.services import expire_pending
from ledger.services.integrity import settled_bound
from ledger.status import TransferStatus

Progress = Callable[[str], None]

#: Each row may bring the reservation that it settles.
CHUNK: Final = BATCH_MAX // 2
_CLOSES: Final = TransferFlags.CLOSING_DEBIT | TransferFlags.CLOSING_CREDIT


class ReplayRefused(Conflict):
    """The target ledger refused a transfer that ours has booked, or its balances differ."""


def replay(target: Ledger, *, after: int = 0, progress: Progress = lambda _: None) -> int:
    """Post what is settled and newer than the timestamp `after`; up to which timestamp that was.

    Raises:
        ReplayRefused: the target says no; names the transfer. Nothing is skipped.
    """
    bound = settled_bound()
    if bound is None:
        return after
    while after < bound.timestamp:
        rows = _rows(after, bound.timestamp)
        if not rows:
            break
        _open(target, rows)
        specs = []
        for row in rows:
            specs += _specs(row)
        _post(target, specs)
        after = rows[-1].timestamp
        progress(f"replayed up to {after} of {bound.timestamp}")
    return bound.timestamp


def finish(target: Ledger, *, after: int = 0, progress: Progress = lambda _: None) -> int:
    """Replay the rest and the reservations still open, once all processes have stopped posting.

    Raises:
        ReplayRefused: the target says no, or an account's balances differ from ours.
    """
    expire_pending()
    up_to = replay(target, after=after, progress=progress)
    _post_open(target, _open_reservations)
    _post_open(target, _open_closings)
    _compare(target, progress)
    return up_to


def _post_open(target: Ledger, open_after: Callable[[int], list[Transfer]]) -> None:
    last = 0
    while open_ones := open_after(last):
        _open(target, open_ones)
        now = timezone.now()
        _post(target, [_spec(t, timeout_s=_left(t, now)) for t in open_ones])
        last = open_ones[-1].timestamp


def _rows(after: int, to: int) -> list[Transfer]:
    with tenant_atomic(Scope.worker()):
        rows = Transfer.objects.filter(timestamp__gt=after, timestamp__lte=to)
        return list(rows.order_by("timestamp").select_related("pending")[:CHUNK])


def _open_reservations(after: int) -> list[Transfer]:
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
        return list(Transfer.objects.filter(id__in=ids).order_by("timestamp"))


def _open_closings(after: int) -> list[Transfer]:
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
        return list(Transfer.objects.filter(id__in=ids).order_by("timestamp")[:CHUNK])


def _specs(row: Transfer) -> list[TransferSpec]:
    if _waits(row):
        # With what settles it, or at the end.
        return []
    if row.pending is not None and _waits(row.pending):
        return [_spec(row.pending), _spec(row)]
    return [_spec(row)]


def _waits(row: Transfer) -> bool:
    return bool(row.is_pending and (row.timeout_s or row.flags & _CLOSES))


def _spec(t: Transfer, *, timeout_s: int | None = None) -> TransferSpec:
    flags = TransferFlags(t.flags) & ~TransferFlags.LINKED
    if flags & TransferFlags.EXPIRED:
        flags = TransferFlags.VOID_PENDING
    return TransferSpec(
        id=t.id,
        debit=t.debit_account_id,
        credit=t.credit_account_id,
        amount_minor=t.amount,
        code=t.code,
        pending_id=t.pending_id,
        timeout_s=timeout_s,
        flags=flags,
        document_id=t.document_id,
        effective_on=t.effective_on,
        corrects=t.corrects_id,
        ledger=t.ledger,
    )


def _left(t: Transfer, now: datetime) -> int | None:
    """Whole seconds until it expires, at least one; none where it does not."""
    if not t.timeout_s:
        return None
    gone = (now - t.booked_at).total_seconds()
    return max(1, math.ceil(t.timeout_s - gone))


def _open(target: Ledger, rows: Sequence[Transfer]) -> None:
    """Open the accounts of these transfers there, as they were opened here."""
    wanted = {t.debit_account_id for t in rows} | {t.credit_account_id for t in rows}
    with tenant_atomic(Scope.worker()):
        accounts = list(Account.objects.filter(id__in=wanted).order_by("id"))
    specs = [
        AccountSpec(
            id=a.id,
            name=a.name,
            code=a.code,
            ledger=a.ledger,
            # Closed by a transfer, which is replayed too.
            flags=AccountFlags(a.flags) & ~AccountFlags.CLOSED,
            user_data=a.user_data,
        )
        for a in accounts
    ]
    for spec, status in zip(specs, target.open(specs), strict=True):
        if not status.ok:
            raise ReplayRefused(f"Account {spec.name} ({spec.id}) is refused there. {status.words}")


def _post(target: Ledger, specs: Sequence[TransferSpec]) -> None:
    for result in target.post(specs):
        # A reservation that an earlier end has brought had more time left then.
        if not result.ok and result.status is not TransferStatus.EXISTS_WITH_DIFFERENT_TIMEOUT:
            raise ReplayRefused(f"Transfer {result.id} is refused there. {result.status.words}")


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
