"""Reads that compose several rooms for the portal's pages; call them inside the seat's scope."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet

from core import spans
from core.context import Actor
from core.models import RequestLog
from core.remember import remembered
from payments.acceptance import selectors as acceptance
from payments.acceptance.models import Payment
from payments.acceptance.states import PaymentStatus

#: Days that are over do not change, but for what commits over midnight: it is seen by then.
_PAST_TTL_S: Final = 600
#: A ranking over weeks hardly moves within a minute.
_RANKING_TTL_S: Final = 60


@dataclass(frozen=True, slots=True)
class Volume:
    """Captured volume by day (UTC) in one currency, and which other currencies there are."""

    currency: str
    currencies: tuple[str, ...]
    amount_minor: dict[dt.date, int]
    count: dict[dt.date, int]


def volume(
    *, livemode: bool, since: dt.date, today: dt.date, currency: str, fallback: str
) -> Volume:
    """The volume since a day, in `currency` where there is any, else in the busiest one.

    Only today is computed each time; the days before are remembered.
    """
    past = remembered(
        "volume", livemode, since, today, ttl_s=_PAST_TTL_S,
        make=lambda: _volume_rows(livemode, since, today),
    )  # fmt: skip
    amounts: dict[str, dict[dt.date, int]] = defaultdict(dict)
    counts: dict[str, dict[dt.date, int]] = defaultdict(dict)
    for day, code, amount_minor, count in [*past, *_volume_rows(livemode, today)]:
        amounts[code][day] = amount_minor
        counts[code][day] = count
    by_count = sorted(counts, key=lambda code: (-sum(counts[code].values()), code))
    chosen = currency if currency in amounts else ""
    chosen = chosen or (fallback if fallback in amounts else "")
    chosen = chosen or (by_count[0] if by_count else fallback or "USD")
    return Volume(
        currency=chosen,
        currencies=tuple(by_count),
        amount_minor=dict(amounts.get(chosen, {})),
        count=dict(counts.get(chosen, {})),
    )


def _volume_rows(
    livemode: bool, since: dt.date, until: dt.date | None = None
) -> list[tuple[dt.date, str, int, int]]:
    rows = acceptance.volume_by_day(
        livemode=livemode, since=_start(since), until=None if until is None else _start(until)
    )
    return [(row.day, row.currency, row.amount_minor, row.count) for row in rows]


def _start(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the payments of a day ended: of those decided, how many succeeded."""

    completed: int
    failed: int
    waiting: int

    @property
    def decided(self) -> int:
        return self.completed + self.failed

    @property
    def success_permille(self) -> int | None:
        """Thousandths that succeeded; None when nothing was decided."""
        return self.completed * 1000 // self.decided if self.decided else None


def outcome(*, livemode: bool, day: dt.date, today: dt.date, currency: str) -> Outcome:
    """The outcomes of the payments in a currency that were created on a day (UTC)."""

    def count() -> dict[str, int]:
        wanted = acceptance.PaymentFilter(
            livemode=livemode,
            currency=currency,
            created=spans.days(day, day),
        )
        states = PaymentStatus
        counted: dict[str, int] = acceptance.payments(wanted).aggregate(
            completed=Count("id", filter=Q(status=states.COMPLETED)),
            failed=Count("id", filter=Q(status=states.FAILED)),
            waiting=Count("id", filter=Q(status__in=[states.PROCESSING, states.REQUIRES_ACTION])),
        )
        return counted

    if day >= today:
        return Outcome(**count())
    return Outcome(**remembered("outcome", livemode, day, currency, ttl_s=_PAST_TTL_S, make=count))


def recent_payments(*, livemode: bool, limit: int = 6) -> list[Payment]:
    """The newest payments of the scope."""
    wanted = acceptance.PaymentFilter(livemode=livemode)
    return list(acceptance.payments(wanted).select_related("customer").order_by("-id")[:limit])


@dataclass(frozen=True, slots=True)
class MerchantVolume:
    """What one merchant of a reseller captured in a span of time."""

    merchant_id: uuid.UUID
    amount_minor: int
    count: int


def busiest_merchants(
    *, livemode: bool, since: dt.date, currency: str, limit: int = 6
) -> list[MerchantVolume]:
    """The merchants of the scope by captured volume in one currency, a minute old at most."""
    rows = remembered(
        "busiest", livemode, since, currency, limit, ttl_s=_RANKING_TTL_S,
        make=lambda: acceptance.volume_by_merchant(
            livemode=livemode, since=_start(since), currency=currency, limit=limit
        ),
    )  # fmt: skip
    return [MerchantVolume(*row) for row in rows]


# ---- request log ----------------------------------------------------------------------------

STATUS_CLASSES = {"2": (200, 299), "4": (400, 499), "5": (500, 599)}


def request_log(
    *, actor: Actor, status_class: str = "", method: str = "", search: str = ""
) -> QuerySet[RequestLog]:
    """The API calls of the merchant and mode; `search` is an id, an error code or a path."""
    rows = RequestLog.objects.filter(merchant_id=actor.merchant_id, livemode=actor.livemode)
    if status_class in STATUS_CLASSES:
        rows = rows.filter(status__range=STATUS_CLASSES[status_class])
    if method:
        rows = rows.filter(method=method)
    if search.startswith("/"):
        rows = rows.filter(path__startswith=search)
    elif search:
        rows = rows.filter(Q(request_id=search) | Q(error_code=search))
    return rows
