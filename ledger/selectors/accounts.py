"""Accounts and their balances: now, as of a time, by currency, and in the books as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, QuerySet, Sum

from core.context import Actor
from core.db import fetch_all, fetch_one
from core.errors import InvalidRequest, NotFound
from core.ids import decode
from core.pagination import Page, PageRequest, paginate
from ledger.chart import BY_CODE, BY_NAME, ledger_currency
from ledger.flags import AccountFlags
from ledger.models import Account

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
        """The posted balance, positive on the account's normal side."""
        difference = self.credits_posted - self.debits_posted
        return difference if normal_side == "credit" else -difference


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
        difference = credited - debited - (reserved if code == _AVAILABLE else 0)
        per_code = sums.setdefault(currency, {})
        per_code[code] = per_code.get(code, 0) + difference
    return [
        CurrencyBalance(
            currency=currency,
            pending_minor=found.get(_PENDING, 0),
            available_minor=found.get(_AVAILABLE, 0),
            reserved_minor=found.get(_RESERVE, 0),
        )
        for currency, found in sorted(sums.items())
    ]


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
