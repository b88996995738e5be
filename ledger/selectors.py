"""Reading the ledger. Every function runs inside `tenant_atomic`: a merchant sees its own alone.

Lists name the tenant in the query as well as the policies do; both walls stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, QuerySet, Sum

from core.context import Actor
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.errors import InvalidRequest, NotFound
from core.ids import decode
from core.pagination import Page, PageRequest, paginate
from ledger.chart import BY_CODE, BY_NAME, ledger_currency
from ledger.cursors import (
    decode_moment,
    decode_place,
    decode_timestamp,
    encode_moment,
    encode_place,
    encode_timestamp,
)
from ledger.flags import AccountFlags, TransferFlags
from ledger.models import Account, Transfer
from ledger.statement_filter import EVERY_LINE, WANTED, StatementFilter

_PENDING, _AVAILABLE, _RESERVE = (
    BY_NAME[name].code for name in ("merchant_pending", "merchant_available", "merchant_reserve")
)


@dataclass(frozen=True, slots=True)
class Balance:
    """The four balances of an account, in minor units."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    def posted(self, *, normal_side: str) -> int:
        """What stands on the account, positive on its normal side."""
        net = self.credits_posted - self.debits_posted
        return net if normal_side == "credit" else -net


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


@dataclass(frozen=True, slots=True)
class CurrencyBalance:
    """A merchant's money in one currency, in minor units.

    `available_minor` leaves out what payouts on their way have reserved.
    """

    currency: str
    pending_minor: int
    available_minor: int
    reserved_minor: int


@dataclass(frozen=True, slots=True)
class TrialLine:
    """The sums over all accounts of one code in one ledger."""

    ledger: int
    code: int
    accounts: int
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int


def normal_side(code: int) -> str:
    line = BY_CODE.get(code)
    return line.normal_side if line else "credit"


# ---- accounts


def accounts_visible(actor: Actor, currency: str | None = None) -> QuerySet[Account]:
    """The accounts that the actor may see, in its mode."""
    rows = Account.objects.filter(livemode=actor.livemode)
    if actor.merchant_id is not None:
        rows = rows.filter(merchant_id=actor.merchant_id)
    elif actor.reseller_id is not None:
        rows = rows.filter(reseller_id=actor.reseller_id)
    if currency:
        rows = rows.filter(currency=currency)
    return rows


def accounts_page(
    *, actor: Actor, page: PageRequest, currency: str | None = None, code: int | None = None
) -> Page[Account]:
    rows = accounts_visible(actor, currency)
    if code is not None:
        rows = rows.filter(code=code)
    return paginate(rows, page)


def account_get(*, actor: Actor, account_id: str) -> Account:
    """One account by its public id.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    found = accounts_visible(actor).filter(id=decode(Account.PREFIX, account_id)).first()
    if found is None:
        raise NotFound(f"There is no account {account_id}.", code="account_missing")
    return found


def balance_now(account_id: UUID) -> Balance:
    """The balances of an account as they stand; zero for one that was never opened."""
    row = fetch_one(
        "SELECT debits_pending, debits_posted, credits_pending, credits_posted"
        " FROM ledger_account WHERE id = %s",
        [account_id],
    )
    return Balance(*row) if row else Balance()


_AS_OF = """
SELECT dp, d, cp, c FROM (
    (SELECT booked_at, debit_debits_pending AS dp, debit_debits_posted AS d,
            debit_credits_pending AS cp, debit_credits_posted AS c
       FROM ledger_transfer WHERE debit_account_id = %(id)s AND booked_at <= %(at)s
      ORDER BY booked_at DESC LIMIT 1)
    UNION ALL
    (SELECT booked_at, credit_debits_pending, credit_debits_posted,
            credit_credits_pending, credit_credits_posted
       FROM ledger_transfer WHERE credit_account_id = %(id)s AND booked_at <= %(at)s
      ORDER BY booked_at DESC LIMIT 1)
) newest ORDER BY booked_at DESC LIMIT 1
"""


def balance_as_of(account_id: UUID, at: datetime) -> Balance:
    """The balances of an account right after everything booked up to and including `at`.

    Two index look-ups, however long the history. Accounts without the `history` flag keep none.

    Raises:
        InvalidRequest: the account keeps no history.
    """
    row = fetch_one(_AS_OF, {"id": account_id, "at": at})
    if row is None:
        return Balance()
    if row[0] is None:
        raise InvalidRequest(
            "The account keeps no history of its balances.", code="history_not_kept"
        )
    return Balance(*row)


def daily_totals(
    *, actor: Actor, currency: str, codes: Sequence[int], ends: Sequence[datetime]
) -> list[int]:
    """What the actor's accounts of these codes held together at each of the moments: credits less
    debits, posted.

    Accounts that have not moved since the first moment count with what they hold; for the others
    two index look-ups per account and moment, all in one statement.
    """
    accounts = accounts_visible(actor, currency).filter(
        code__in=codes, last_booked_at__isnull=False
    )
    still = accounts.filter(last_booked_at__lt=min(ends)).aggregate(
        held=Sum(F("credits_posted") - F("debits_posted"), default=0)
    )["held"]
    moving = accounts.filter(last_booked_at__gte=min(ends)).values_list("id", flat=True)
    rows = fetch_all(
        """
        SELECT coalesce(sum((
            SELECT c - d FROM (
                (SELECT booked_at, debit_credits_posted AS c, debit_debits_posted AS d
                   FROM ledger_transfer WHERE debit_account_id = a.id AND booked_at <= m.at
                  ORDER BY booked_at DESC LIMIT 1)
                UNION ALL
                (SELECT booked_at, credit_credits_posted, credit_debits_posted
                   FROM ledger_transfer WHERE credit_account_id = a.id AND booked_at <= m.at
                  ORDER BY booked_at DESC LIMIT 1)) n
            ORDER BY booked_at DESC LIMIT 1)), 0)
        FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS m (at, place)
        LEFT JOIN unnest(%s::uuid[]) AS a (id) ON true
        GROUP BY m.place ORDER BY m.place
        """,
        [list(ends), list(moving)],
    )
    return [int(still) + int(row[0]) for row in rows]


def balance_by_currency(*, actor: Actor) -> list[CurrencyBalance]:
    """A merchant's pending, available and reserved money, by currency.

    Of a reseller or the platform: the sums over the merchants that it sees.
    """
    wanted = [_PENDING, _AVAILABLE, _RESERVE]
    sums: dict[str, dict[int, int]] = {}
    rows = accounts_visible(actor).filter(code__in=wanted, merchant_id__isnull=False)
    for code, currency, credited, debited, reserved in rows.values_list(
        "code", "currency", "credits_posted", "debits_posted", "debits_pending"
    ):
        net = credited - debited - (reserved if code == _AVAILABLE else 0)
        per_code = sums.setdefault(currency, {})
        per_code[code] = per_code.get(code, 0) + net
    return [
        CurrencyBalance(
            currency=currency,
            pending_minor=found.get(_PENDING, 0),
            available_minor=found.get(_AVAILABLE, 0),
            reserved_minor=found.get(_RESERVE, 0),
        )
        for currency, found in sorted(sums.items())
    ]


# ---- statements

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
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_END = datetime(9000, 1, 1, tzinfo=UTC)
_ID_END = UUID(int=2**128 - 1)


def statement_page(
    *,
    account: Account,
    page: PageRequest,
    since: datetime | None = None,
    until: datetime | None = None,
    wanted: StatementFilter = EVERY_LINE,
) -> Page[StatementLine]:
    """An account's transfers with the balances after each, newest first.

    Args:
        since, until: booked from (included) and before.
    """
    before = until or _END
    if page.cursor:
        before = min(before, decode_moment(page.cursor))
    span = {"id": account.id, "from": since or _BEGINNING, "to": before}
    lines = _lines(_NEWEST_FIRST, span | wanted.params | {"limit": page.limit + 1})
    items = lines[: page.limit]
    more = len(lines) > page.limit
    return Page(items=items, next_cursor=encode_moment(items[-1].booked_at) if more else None)


def statement_stream(
    *,
    account: Account,
    scope: Scope,
    since: datetime | None = None,
    until: datetime | None = None,
    wanted: StatementFilter = EVERY_LINE,
    chunk: int = 2000,
) -> Iterator[StatementLine]:
    """The same, oldest first and without end, as the account stood when it was read.

    Read by chunks, each a short index scan in a transaction of its own: whoever reads slowly holds
    none. What is booked meanwhile is later than `account.last_booked_at`, for an account's bookings
    wait for each other, and is left out.
    """
    begin, end = since or _BEGINNING, until or _END
    if account.last_booked_at is not None:
        end = min(end, account.last_booked_at + timedelta(microseconds=1))
    while True:
        with tenant_atomic(scope):
            span = {"id": account.id, "from": begin, "to": end, "limit": chunk}
            lines = _lines(_OLDEST_FIRST, span | wanted.params)
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


# ---- transfers


def transfers_visible(actor: Actor) -> QuerySet[Transfer]:
    """The transfers that the actor may see, in its mode."""
    rows = Transfer.objects.annotate(mode=F("ledger") % 10).filter(mode=int(actor.livemode))
    if actor.merchant_id is not None:
        rows = rows.filter(merchant_id=actor.merchant_id)
    elif actor.reseller_id is not None:
        rows = rows.filter(reseller_id=actor.reseller_id)
    return rows


def transfers_page(
    *,
    actor: Actor,
    page: PageRequest,
    account: Account | None = None,
    document_id: UUID | None = None,
) -> Page[Transfer]:
    """Transfers that the actor may see: newest first, or a document's in the order of booking.

    Raises:
        InvalidRequest: a cursor that we did not make for such a list.
    """
    if document_id is not None:
        return _of_document(actor, page, account, document_id)
    accounts = (
        [account.id]
        if account is not None
        else list(
            accounts_visible(actor)
            .filter(last_booked_at__isnull=False)
            .values_list("id", flat=True)
        )
    )
    before, before_id = decode_place(page.cursor) if page.cursor else (_END, _ID_END)
    # Each account's two indexes give its newest, and these are merged: no third index on tenants
    # has to be kept up with every transfer. Booking times are unique within an account alone, so
    # the id decides between accounts.
    found = fetch_all(
        """
        SELECT DISTINCT t.booked_at, t.id FROM unnest(%(ids)s::uuid[]) AS a (id), LATERAL (
            (SELECT booked_at, id FROM ledger_transfer
              WHERE debit_account_id = a.id AND booked_at <= %(before)s
                AND (booked_at, id) < (%(before)s, %(before_id)s)
              ORDER BY booked_at DESC LIMIT %(limit)s)
            UNION ALL
            (SELECT booked_at, id FROM ledger_transfer
              WHERE credit_account_id = a.id AND booked_at <= %(before)s
                AND (booked_at, id) < (%(before)s, %(before_id)s)
              ORDER BY booked_at DESC LIMIT %(limit)s)) t
        ORDER BY t.booked_at DESC, t.id DESC LIMIT %(limit)s
        """,
        {"ids": accounts, "before": before, "before_id": before_id, "limit": page.limit + 1},
    )
    shown = found[: page.limit]
    # Never joined with the accounts: the other side is often the platform's, which row-level
    # security hides from a merchant, and the join would drop the transfer with it.
    rows = transfers_visible(actor).filter(id__in=[row[1] for row in shown])
    more = len(found) > page.limit
    return Page(
        items=list(rows.order_by("-booked_at", "-id")),
        next_cursor=encode_place(*shown[-1]) if more else None,
    )


def _of_document(
    actor: Actor, page: PageRequest, account: Account | None, document_id: UUID
) -> Page[Transfer]:
    rows = transfers_visible(actor).filter(document_id=document_id).order_by("timestamp")
    if account is not None:
        rows = rows.filter(Q(debit_account_id=account.id) | Q(credit_account_id=account.id))
    if page.cursor:
        rows = rows.filter(timestamp__gt=decode_timestamp(page.cursor))
    found = list(rows[: page.limit + 1])
    shown = found[: page.limit]
    more = len(found) > page.limit
    return Page(
        items=shown,
        next_cursor=encode_timestamp(shown[-1].timestamp) if more else None,
    )


def transfer_get(*, actor: Actor, transfer_id: str) -> Transfer:
    """One transfer by its public id.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    found = transfers_visible(actor).filter(id=decode(Transfer.PREFIX, transfer_id)).first()
    if found is None:
        raise NotFound(f"There is no transfer {transfer_id}.", code="transfer_missing")
    return found


def journal(document_id: UUID) -> list[Transfer]:
    """All transfers of a document (a payment, a refund, a payout) that the scope sees, in order."""
    return list(Transfer.objects.filter(document_id=document_id).order_by("timestamp"))


def states_of(transfers: Sequence[Transfer]) -> dict[UUID, str]:
    """How each stands: posted, pending, or what became of the pending one."""
    pending = [t.id for t in transfers if t.is_pending]
    ends = dict(
        Transfer.objects.filter(pending_id__in=pending).values_list("pending_id", "flags")
        if pending
        else ()
    )
    return {t.id: _state(TransferFlags(t.flags), ends.get(t.id)) for t in transfers}


def _state(flags: TransferFlags, end: int | None) -> str:
    if flags & TransferFlags.VOID_PENDING:
        return "voided"
    if flags & TransferFlags.EXPIRED:
        return "expired"
    if not flags & TransferFlags.PENDING:
        return "posted"
    if end is None:
        return "pending"
    if end & TransferFlags.POST_PENDING:
        return "posted"
    return "voided" if end & TransferFlags.VOID_PENDING else "expired"


# ---- the books as a whole


def trial_balance(*, livemode: bool) -> list[TrialLine]:
    """Sums by ledger and account code; debits equal credits in each ledger (staff, workers)."""
    return [
        TrialLine(ledger, code, *map(int, rest))
        for ledger, code, *rest in fetch_all(
            """
            SELECT ledger, code, count(*), sum(debits_pending), sum(debits_posted),
                   sum(credits_pending), sum(credits_posted)
              FROM ledger_account WHERE livemode = %s GROUP BY ledger, code ORDER BY ledger, code
            """,
            [livemode],
        )
    ]


def account_title(account: Account) -> str:
    line = BY_CODE.get(account.code)
    return line.title if line else account.name


def closed(account: Account) -> bool:
    return bool(account.flags & AccountFlags.CLOSED)


def currency_of(ledger: int) -> str:
    return ledger_currency(ledger)[0]
