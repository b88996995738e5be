"""Recomputes the books from the journal and says where they are off.

The transfers are summed up in chunks, each a transaction of its own, into a table that remembers
how far it got: a run that is cut short goes on where it stopped, and the next one looks at what is
new alone. The last step compares, in one statement and therefore in one snapshot, every account
with its sums and with what was booked since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.utils import timezone

from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from ledger.chart import account_id
from ledger.models import CheckpointBalance, IntegrityRun

CHUNK: Final = 200_000
#: How long to wait for postings under way before leaving them to the next run.
SETTLE_S: Final = 30.0

Progress = Callable[[str], None]

# What every transfer does to the balances of its two accounts.
_EFFECTS = """
SELECT s.account_id, sum(s.dp) AS dp, sum(s.d) AS d, sum(s.cp) AS cp, sum(s.c) AS c
  FROM ledger_transfer t
  LEFT JOIN ledger_transfer p ON p.id = t.pending_id,
  LATERAL (SELECT CASE WHEN (t.flags & 2) <> 0 THEN t.amount ELSE 0 END
                  - coalesce(p.amount, 0) AS reserved,
                  CASE WHEN (t.flags & 522) = 0 THEN t.amount ELSE 0 END AS posted) e,
  LATERAL (VALUES (t.debit_account_id, e.reserved, e.posted, 0, 0),
                  (t.credit_account_id, 0, 0, e.reserved, e.posted))
       s (account_id, dp, d, cp, c)
 WHERE t."timestamp" > %(after)s AND t."timestamp" <= %(to)s
 GROUP BY s.account_id
"""

_ADD = f"""
INSERT INTO ledger_checkpointbalance AS b
       (account_id, debits_pending, debits_posted, credits_pending, credits_posted)
{_EFFECTS}
ON CONFLICT (account_id) DO UPDATE SET
       debits_pending = b.debits_pending + excluded.debits_pending,
       debits_posted = b.debits_posted + excluded.debits_posted,
       credits_pending = b.credits_pending + excluded.credits_pending,
       credits_posted = b.credits_posted + excluded.credits_posted
"""

_COMPARE = f"""
WITH tail AS ({_EFFECTS})
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
        full: forget the checkpoint and begin with the first transfer.
        progress: is told, in a sentence, how far it got.
    """
    started = timezone.now()
    if full:
        with tenant_atomic(Scope.worker()):
            CheckpointBalance.objects.all().delete()
            fetch_all("DELETE FROM ledger_checkpoint RETURNING 1")
    bound = _settled_bound()
    summed, up_to = _sum_up(bound, progress)
    progress("comparing every account with its sums")
    with tenant_atomic(Scope.worker()):
        fault = _first_fault(up_to)
        accounts = fetch_one("SELECT count(*) FROM ledger_account")
        run = IntegrityRun(
            started_at=started,
            finished_at=timezone.now(),
            full=full,
            up_to=up_to,
            transfers=summed,
            accounts=accounts[0] if accounts else 0,
            fault=fault[:500],
        )
        run.save(force_insert=True)
    return run


def _settled_bound() -> _Bound | None:
    """The newest timestamp below which nothing can be booked any more.

    Timestamps are handed out before the commit. Once every transaction that ran when we looked has
    ended, all that were handed out until then are decided.
    """
    with tenant_atomic(Scope.worker()):
        row = fetch_one(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END,"
            " pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM ledger_timestamp"
        )
    assert row is not None
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        with tenant_atomic(Scope.worker()):
            oldest = fetch_one("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        if oldest is not None and oldest[0] >= row[1]:
            return _Bound(row[0])
        time.sleep(0.05)
    return None


def _sum_up(bound: _Bound | None, progress: Progress) -> tuple[int, int]:
    """Add what is new to the sums, chunk by chunk; how many transfers, and up to where."""
    summed = 0
    while True:
        with tenant_atomic(Scope.worker()):
            # The row is the lock: two runs at once must not add the same transfers twice.
            fetch_all(
                "INSERT INTO ledger_checkpoint VALUES (1, 0) ON CONFLICT DO NOTHING RETURNING 1"
            )
            row = fetch_one("SELECT up_to FROM ledger_checkpoint WHERE id = 1 FOR UPDATE")
            assert row is not None
            after = int(row[0])
            if bound is None or after >= bound.timestamp:
                return summed, after
            to = min(after + CHUNK, bound.timestamp)
            span = {"after": after, "to": to}
            count = fetch_one(
                'SELECT count(*) FROM ledger_transfer WHERE "timestamp" > %(after)s'
                ' AND "timestamp" <= %(to)s',
                span,
            )
            fetch_all(_ADD + " RETURNING 1", span)
            fetch_all("UPDATE ledger_checkpoint SET up_to = %s WHERE id = 1 RETURNING 1", [to])
        summed += int(count[0]) if count else 0
        progress(f"summed up {to:,} of {bound.timestamp:,} ({100 * to // bound.timestamp} %)")


def _first_fault(up_to: int) -> str:
    """The first thing that is wrong, in a sentence; empty when nothing is."""
    off = fetch_one(_COMPARE, {"after": up_to, "to": 2**63 - 1})
    if off is not None:
        account, name, stands, should = off
        if name is None:
            return f"Transfers name account {account}, which does not exist."
        names = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
        for what, is_now, must in zip(names, stands, should, strict=True):
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
    with tenant_atomic(Scope.worker()):
        run = last_run()
    return 0.0 if run is None or run.sound else 1.0
