"""An account's statement: its transfers with the balances after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from core.db import Scope, tenant_atomic
from core.pagination import Page, PageRequest
from core.spans import ALWAYS, Span
from ledger.flags import TransferFlags
from ledger.models import Account
from ledger.selectors.accounts import Balance
from ledger.selectors.cursors import decode_moment, encode_moment
from ledger.statement_filter import EVERY_LINE, WANTED, StatementFilter


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One transfer seen from one of its accounts, with the balances after it.

    They are null on an account without the `history` flag, which keeps none.
    """

    transfer: UUID
    booked_at: datetime
    effective_on: Any
    direction: str
    amount_minor: int
    counterpart: UUID
    code: int
    flags: TransferFlags
    document_id: UUID | None
    balance: Balance | None


_SIDES = """
    (SELECT id, booked_at, effective_on, 'debit' AS direction, amount,
            credit_account_id AS counterpart, code, flags, document_id, debit_debits_pending,
            debit_debits_posted, debit_credits_pending, debit_credits_posted
       FROM ledger_transfer
      WHERE debit_account_id = %(id)s AND booked_at >= %(from)s AND booked_at < %(to)s {wanted}
      ORDER BY booked_at {order} LIMIT %(limit)s)
    UNION ALL
    (SELECT id, booked_at, effective_on, 'credit', amount, debit_account_id, code, flags,
            document_id, credit_debits_pending, credit_debits_posted, credit_credits_pending,
            credit_credits_posted
       FROM ledger_transfer
      WHERE credit_account_id = %(id)s AND booked_at >= %(from)s AND booked_at < %(to)s {wanted}
      ORDER BY booked_at {order} LIMIT %(limit)s)
    ORDER BY booked_at {order} LIMIT %(limit)s
"""
_NEWEST_FIRST = _SIDES.format(order="DESC", wanted=WANTED)
_OLDEST_FIRST = _SIDES.format(order="ASC", wanted=WANTED)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(9000, 1, 1, tzinfo=UTC)


def statement_page(
    *,
    account: Account,
    page: PageRequest,
    span: Span = ALWAYS,
    wanted: StatementFilter = EVERY_LINE,
) -> Page[StatementLine]:
    """An account's transfers of the span, newest first, with the balances after each."""
    before = span.end or END
    if page.cursor:
        before = min(before, decode_moment(page.cursor))
    bounds = {"id": account.id, "from": span.start or BEGINNING, "to": before}
    lines = _lines(_NEWEST_FIRST, bounds | wanted.params | {"limit": page.limit + 1})
    items = lines[: page.limit]
    more = len(lines) > page.limit
    return Page(items=items, next_cursor=encode_moment(items[-1].booked_at) if more else None)


def statement_stream(
    *,
    account: Account,
    scope: Scope,
    span: Span = ALWAYS,
    wanted: StatementFilter = EVERY_LINE,
    chunk: int = 2000,
) -> Iterator[StatementLine]:
    """The lines, oldest first and unpaged, up to the last booking when `account` was read.

    Read in chunks, each a short index scan in its own transaction: a slow reader holds none
    open. What is booked meanwhile is later than `account.last_booked_at`, for an account's bookings
    wait for each other, and is left out.
    """
    begin, end = span.start or BEGINNING, span.end or END
    if account.last_booked_at is not None:
        end = min(end, account.last_booked_at + timedelta(microseconds=1))
    while True:
        with tenant_atomic(scope):
            bounds = {"id": account.id, "from": begin, "to": end, "limit": chunk}
            lines = _lines(_OLDEST_FIRST, bounds | wanted.params)
        yield from lines
        if len(lines) < chunk:
            return
        begin = lines[-1].booked_at + timedelta(microseconds=1)


def _lines(sql: str, params: dict[str, Any]) -> list[StatementLine]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [
            StatementLine(
                transfer=row[0],
                booked_at=row[1],
                effective_on=row[2],
                direction=row[3],
                amount_minor=row[4],
                counterpart=row[5],
                code=row[6],
                flags=TransferFlags(row[7]),
                document_id=row[8],
                balance=Balance(*row[9:]) if row[9] is not None else None,
            )
            for row in cursor.fetchall()
        ]
