"""The CSV export in bounded memory, however long the statement.

`LEDGER_EXPORT_ROWS` says how long (the suite takes a hundred thousand; try a million).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psutil
import psycopg

from core.db import tenant_atomic
from ledger.chart import MerchantBook
from ledger.models import Account
from ledger.portal import csv_lines
from tests.factories import Tenants, make_tenants
from tests.ledger.test_faces import book_of, fill

ROWS = int(os.environ.get("LEDGER_EXPORT_ROWS", "100000"))
#: What the process may grow by after the first chunks (of 2,000 rows); a hundred thousand rows held
#: at once take some 150 MB.
BOUND_BYTES = 16_000_000
WARM = 6_000


@contextmanager
def lengthened(
    admin_dsn: str, debit: UUID, credit: UUID, merchant: UUID, rows: int
) -> Iterator[None]:
    """Transfers written as the superuser writes, past the functions that would judge each.

    No balance knows of them, so they go again: other tests verify the whole ledger.
    """
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute(
            """
            INSERT INTO ledger_transfer (
                id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger,
                code, flags, merchant_id, credit_debits_pending, credit_debits_posted,
                credit_credits_pending, credit_credits_posted)
            SELECT gen_random_uuid(), %(debit)s, %(credit)s, 7, nextval('ledger_timestamp'),
                   '2020-01-01'::timestamptz + n * interval '1 second', 8400, 10, 0, %(merchant)s,
                   0, 0, 0, 7 * n
              FROM generate_series(1, %(rows)s) n
            """,
            {"debit": debit, "credit": credit, "merchant": merchant, "rows": rows},
        )
        try:
            yield
        finally:
            conn.execute("SET session_replication_role = replica")
            conn.execute(
                "DELETE FROM ledger_transfer WHERE merchant_id = %s AND booked_at < '2025-01-01'",
                [merchant],
            )


def test_a_long_statement_is_exported_in_bounded_memory(admin_dsn: str) -> None:
    t = make_tenants()
    fill(t)
    book = book_of(t)
    with lengthened(admin_dsn, book.platform_fee.id, book.pending.id, t.merchant.id, ROWS):
        _export(t, book)


def _export(t: Tenants, book: MerchantBook) -> None:
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book.pending.id)

    process = psutil.Process()
    lines, characters, second, last = 0, 0, b"", b""
    before = peak = 0
    for line in csv_lines(t.scope, account):
        lines, characters, last = lines + 1, characters + len(line), line
        second = line if lines == 2 else second
        if lines == WARM:
            before = process.memory_info().rss
        if lines % 1000 == 0:
            peak = max(peak, process.memory_info().rss)

    assert lines == 1 + ROWS + 3  # the header, what was written here, and what `fill` booked
    assert b",0.07,0.07," in second
    assert last.split(b",")[7] == b"46.80"
    assert characters > 80 * ROWS
    assert peak - before < BOUND_BYTES, f"{peak - before:,} bytes more for {ROWS:,} rows"
