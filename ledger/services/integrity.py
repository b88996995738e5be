"""Recomputes the books from the journal and says where they are off.

The transfers are summed up in chunks, each a transaction of its own, into a table that remembers
how far it got: a run that is cut short goes on where it stopped, and the next one looks at what is
new alone. On the way the balances kept with each transfer are compared with the sums up to it. The
last step compares, in one statement and therefore in one snapshot, every account with its sums and
with what was booked since.

What was summed up is not summed up again. Of these older transfers each run looks at a random
sample: whether a transfer keeps what the one before it on the account kept, and its own effect. One
that does not begins a run over all transfers, which stops at the fault. That every older transfer
is sound, only a run over all of them says: the schedule begins one every week, which takes as many
turns as it needs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from ledger.chart import account_id
from ledger.lock_objects import lock_checkpoint
from ledger.models import Checkpoint, CheckpointBalance, IntegrityRun

CHUNK: Final = 200_000
#: How long to wait for postings under way before leaving them to the next run.
SETTLE_S: Final = 30.0
#: The sample of older transfers: as many spans of as many timestamps, each from a random one on.
SAMPLE_SPANS: Final = 20
SAMPLE_SPAN: Final = 25
#: How old the last look at all transfers may become.
FULL_EVERY: Final = timedelta(days=7)

_BALANCES: Final = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")

Progress = Callable[[str], None]

# What each transfer does to the balances of its two accounts, with the balances kept after it.
_SIDES = """
SELECT t.id, t."timestamp", t.booked_at, s.*
  FROM ledger_transfer t
  LEFT JOIN ledger_transfer p ON p.id = t.pending_id,
  LATERAL (SELECT CASE WHEN (t.flags & 2) <> 0 THEN t.amount ELSE 0 END
                  - coalesce(p.amount, 0) AS reserved,
                  CASE WHEN (t.flags & 522) = 0 THEN t.amount ELSE 0 END AS posted) e,
  LATERAL (VALUES
      (t.debit_account_id, e.reserved, e.posted, 0, 0,
       ARRAY[t.debit_debits_pending, t.debit_debits_posted,
             t.debit_credits_pending, t.debit_credits_posted]),
      (t.credit_account_id, 0, 0, e.reserved, e.posted,
       ARRAY[t.credit_debits_pending, t.credit_debits_posted,
             t.credit_credits_pending, t.credit_credits_posted]))
       s (account_id, dp, d, cp, c, kept)
 WHERE t."timestamp" > {after} AND t."timestamp" <= {to}
"""

_EFFECTS = f"""
SELECT account_id, sum(dp) AS dp, sum(d) AS d, sum(cp) AS cp, sum(c) AS c
  FROM ({_SIDES}) sides GROUP BY account_id
"""  # noqa: S608 - constants
_SPAN: Final = {"after": "%(after)s", "to": "%(to)s"}
_NEWEST: Final = "9223372036854775807"
_TAIL: Final = {
    "after": "(SELECT coalesce(max(up_to), 0) FROM ledger_checkpoint)",
    "to": _NEWEST,
}

# The first transfer that keeps other balances than the transfers up to it make. An account's
# transfers are booked under its lock, so their timestamps stand in the order of booking.
_HISTORY = f"""
WITH running AS (
    SELECT s.id, s."timestamp", s.account_id, s.kept, ARRAY[
               coalesce(b.debits_pending, 0) + sum(s.dp) OVER w,
               coalesce(b.debits_posted, 0) + sum(s.d) OVER w,
               coalesce(b.credits_pending, 0) + sum(s.cp) OVER w,
               coalesce(b.credits_posted, 0) + sum(s.c) OVER w] AS should
      FROM ({_SIDES.format(**_SPAN)}) s
      LEFT JOIN ledger_checkpointbalance b ON b.account_id = s.account_id
    WINDOW w AS (PARTITION BY s.account_id ORDER BY s."timestamp")
)
SELECT a.name, a.id, r.id, r.kept, r.should
  FROM running r JOIN ledger_account a ON a.id = r.account_id
 WHERE (a.flags & 8) <> 0 AND r.kept::numeric[] IS DISTINCT FROM r.should
 ORDER BY r."timestamp", r.account_id LIMIT 1
"""  # noqa: S608 - constants

_ADD = f"""
INSERT INTO ledger_checkpointbalance AS b
       (account_id, debits_pending, debits_posted, credits_pending, credits_posted)
{_EFFECTS.format(**_SPAN)}
ON CONFLICT (account_id) DO UPDATE SET
       debits_pending = b.debits_pending + excluded.debits_pending,
       debits_posted = b.debits_posted + excluded.debits_posted,
       credits_pending = b.credits_pending + excluded.credits_pending,
       credits_posted = b.credits_posted + excluded.credits_posted
"""

# The spans come from a BRIN index, the transfers before from the accounts' own: the cost is bounded
# whatever the journal's length.
_PICKED = """
SELECT p.* FROM unnest(%(starts)s::bigint[]) AS s (start), LATERAL (
       SELECT * FROM ledger_transfer t
        WHERE t."timestamp" >= s.start AND t."timestamp" < s.start + %(span)s
          AND t."timestamp" <= %(up_to)s) p
"""
_SAMPLED = f"SELECT count(DISTINCT id) FROM ({_PICKED}) picked"  # noqa: S608 - constants
_BEFORE = """
SELECT kept FROM (
    (SELECT booked_at, ARRAY[debit_debits_pending, debit_debits_posted,
                             debit_credits_pending, debit_credits_posted] AS kept
       FROM ledger_transfer
      WHERE debit_account_id = s.account_id AND booked_at < s.booked_at
      ORDER BY booked_at DESC LIMIT 1)
    UNION ALL
    (SELECT booked_at, ARRAY[credit_debits_pending, credit_debits_posted,
                             credit_credits_pending, credit_credits_posted]
       FROM ledger_transfer
      WHERE credit_account_id = s.account_id AND booked_at < s.booked_at
      ORDER BY booked_at DESC LIMIT 1)) either
 ORDER BY booked_at DESC LIMIT 1
"""
_SAMPLE = f"""
WITH picked AS MATERIALIZED ({_PICKED}), judged AS (
    SELECT s.id, s."timestamp", s.account_id, s.kept, ARRAY[
               coalesce(b.kept[1], 0) + s.dp, coalesce(b.kept[2], 0) + s.d,
               coalesce(b.kept[3], 0) + s.cp, coalesce(b.kept[4], 0) + s.c] AS should
      FROM ({_SIDES.format(after=0, to=_NEWEST).replace("ledger_transfer t", "picked t", 1)}) s
      LEFT JOIN LATERAL ({_BEFORE}) b ON true
)
SELECT a.name, a.id, j.id, j.kept, j.should
  FROM judged j JOIN ledger_account a ON a.id = j.account_id
 WHERE (a.flags & 8) <> 0 AND j.kept IS DISTINCT FROM j.should
 ORDER BY j."timestamp", j.account_id LIMIT 1
"""  # noqa: S608 - constants

# Where the sums end is read in the same snapshot as the sums: another run may move both meanwhile.
_COMPARE = f"""
WITH tail AS ({_EFFECTS.format(**_TAIL)})
SELECT coalesce(a.id, s.account_id, tail.account_id), a.name,
       ARRAY[a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted]::numeric[],
       ARRAY[coalesce(s.debits_pending, 0) + coalesce(tail.dp, 0),
             coalesce(s.debits_posted, 0) + coalesce(tail.d, 0),
             coalesce(s.credits_pending, 0) + coalesce(tail.cp, 0),
             coalesce(s.credits_posted, 0) + coalesce(tail.c, 0)]::numeric[]
  FROM ledger_account a
  FULL JOIN ledger_checkpointbalance s ON s.account_id = a.id
  FULL JOIN tail ON tail.account_id = coalesce(a.id, s.account_id)
 WHERE (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted) IS DISTINCT FROM
       (coalesce(s.debits_pending, 0) + coalesce(tail.dp, 0),
        coalesce(s.debits_posted, 0) + coalesce(tail.d, 0),
        coalesce(s.credits_pending, 0) + coalesce(tail.cp, 0),
        coalesce(s.credits_posted, 0) + coalesce(tail.c, 0))
 ORDER BY 1 LIMIT 1
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class _Bound:
    """Up to `timestamp` every transfer is committed or gone."""

    timestamp: int


def verify(*, full: bool = False, progress: Progress = lambda _: None) -> IntegrityRun:
    """Check the books; the run is recorded, whatever it finds.

    Args:
        full: forget the checkpoint and begin with the first transfer. Cut short, the next run goes
            on where it stopped, and is recorded as the full one.
        progress: called with a sentence that says how far the run got.
    """
    started = timezone.now()
    if full:
        _begin_with_the_first(started)
    with tenant_atomic(Scope.worker()):
        since = lock_checkpoint().up_to
    sampled, wrong = _look_at_a_sample(since)
    if wrong:
        # What was summed up is not to be relied on: from now on every run stops at the fault.
        _begin_with_the_first(started)
    bound = settled_bound()
    summed, fault = _sum_up(bound, progress)
    if not fault:
        progress("comparing every account with its sums")
    with tenant_atomic(Scope.worker()):
        fault = fault or wrong or _first_fault()
        accounts = fetch_one("SELECT count(*) FROM ledger_account")
        checkpoint = lock_checkpoint()
        whole = bound is not None and checkpoint.full_since is not None
        if whole:
            Checkpoint.objects.update(full_since=None)
        run = IntegrityRun(
            started_at=started,
            finished_at=timezone.now(),
            full=whole,
            since=since,
            up_to=checkpoint.up_to,
            transfers=summed,
            sampled=sampled,
            accounts=accounts[0] if accounts else 0,
            fault=fault[:500],
        )
        run.save(force_insert=True)
    return run


def _begin_with_the_first(started: datetime) -> None:
    """Forget all sums, so that this run and those after it go over all transfers."""
    with tenant_atomic(Scope.worker()):
        lock_checkpoint()
        CheckpointBalance.objects.all().delete()
        Checkpoint.objects.update(up_to=0, full_since=started)


def _look_at_a_sample(up_to: int) -> tuple[int, str]:
    """Judge a random sample of the transfers up to a timestamp; how many, and the first fault."""
    if up_to < 1:
        return 0, ""
    starts = [1 + secrets.randbelow(up_to) for _ in range(SAMPLE_SPANS)]
    params = {"starts": starts, "span": SAMPLE_SPAN, "up_to": up_to}
    with tenant_atomic(Scope.worker()):
        count = fetch_one(_SAMPLED, params)
        off = fetch_one(_SAMPLE, params)
    return int(count[0]) if count else 0, _kept_fault(*off) if off is not None else ""


def full_is_due() -> bool:
    """Whether all transfers must be looked at again: not within FULL_EVERY, nor under way."""
    since = timezone.now() - FULL_EVERY
    with tenant_atomic(Scope.worker()):
        under_way = Checkpoint.objects.filter(full_since__isnull=False).exists()
        done = IntegrityRun.objects.filter(full=True, finished_at__gt=since).exists()
    return not under_way and not done


def settled_bound() -> _Bound | None:
    """The newest timestamp below which nothing can be booked any more.

    Timestamps are handed out before the commit. Once every transaction that ran when we looked has
    ended, all that were handed out until then are decided. The sequence is read first, by a
    statement of its own: read beside the snapshot it could name a timestamp of a transaction that
    began after the snapshot, for which this function would not wait.
    """
    with tenant_atomic(Scope.worker()):
        last = fetch_one(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ledger_timestamp"
        )
    with tenant_atomic(Scope.worker()):
        running = fetch_one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    assert last is not None
    assert running is not None
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        with tenant_atomic(Scope.worker()):
            oldest = fetch_one("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        if oldest is not None and oldest[0] >= running[0]:
            return _Bound(last[0])
        time.sleep(0.05)
    return None


def _sum_up(bound: _Bound | None, progress: Progress) -> tuple[int, str]:
    """Add what is new to the sums, chunk by chunk; how many transfers, and the first fault.

    A chunk with a fault is not added: every run stops there until the books are put right.
    """
    summed = 0
    while True:
        with tenant_atomic(Scope.worker()):
            # The row is the lock: two runs at once must not add the same transfers twice.
            after = lock_checkpoint().up_to
            if bound is None or after >= bound.timestamp:
                return summed, ""
            to = min(after + CHUNK, bound.timestamp)
            span = {"after": after, "to": to}
            off = fetch_one(_HISTORY, span)
            if off is not None:
                return summed, _kept_fault(*off)
            count = fetch_one(
                'SELECT count(*) FROM ledger_transfer WHERE "timestamp" > %(after)s'
                ' AND "timestamp" <= %(to)s',
                span,
            )
            fetch_all(_ADD + " RETURNING 1", span)
            Checkpoint.objects.update(up_to=to)
        summed += int(count[0]) if count else 0
        progress(f"summed up {to:,} of {bound.timestamp:,} ({100 * to // bound.timestamp} %)")


def _kept_fault(
    name: str, account: UUID, transfer: UUID, kept: list[int | None], should: list[int]
) -> str:
    for what, is_kept, must in zip(_BALANCES, kept, should, strict=True):
        if is_kept != must:
            return (
                f"Account {name} ({account}): transfer {transfer} keeps {what} {is_kept}, the"
                f" transfers up to it say {must}."
            )
    raise AssertionError("kept balances that differ nowhere")


def _first_fault() -> str:
    """The first thing that is wrong, in a sentence; empty when nothing is."""
    off = fetch_one(_COMPARE)
    if off is not None:
        account, name, stands, should = off
        if name is None:
            return f"Transfers name account {account}, which does not exist."
        for what, is_now, must in zip(_BALANCES, stands, should, strict=True):
            if is_now != must:
                return f"Account {name} ({account}): {what} is {is_now}, its transfers say {must}."
    uneven = fetch_one(
        """
        SELECT ledger, sum(debits_posted) - sum(credits_posted),
               sum(debits_pending) - sum(credits_pending)
          FROM ledger_account GROUP BY ledger
        HAVING sum(debits_posted) <> sum(credits_posted)
            OR sum(debits_pending) <> sum(credits_pending) ORDER BY ledger LIMIT 1
        """
    )
    if uneven is not None:
        return f"Ledger {uneven[0]} does not sum to zero: posted {uneven[1]}, pending {uneven[2]}."
    transit = fetch_one(
        "SELECT name, credits_posted - debits_posted FROM ledger_account"
        " WHERE flags & 256 <> 0 AND credits_posted <> debits_posted ORDER BY id LIMIT 1"
    )
    if transit is not None:
        return f"Transit account {transit[0]} keeps a balance of {transit[1]}."
    return _first_foreign_id()


def _first_foreign_id() -> str:
    """An account whose id does not follow from its name, if there is one."""
    last = "00000000-0000-0000-0000-000000000000"
    while True:
        rows = fetch_all(
            "SELECT id, name FROM ledger_account WHERE id > %s ORDER BY id LIMIT 10000", [last]
        )
        for found, name in rows:
            if account_id.__wrapped__(name) != found:
                return f"Account {found} does not have the id that its name {name} gives."
        if len(rows) < 10_000:
            return ""
        last = rows[-1][0]


def last_run() -> IntegrityRun | None:
    """The newest verification (staff and workers)."""
    return IntegrityRun.objects.order_by("-started_at").first()


def off_gauge() -> float:
    """1 while the newest verification found a fault, else 0: the alert metric."""
    with tenant_atomic(Scope.intake()):
        run = last_run()
    return 0.0 if run is None or run.sound else 1.0
