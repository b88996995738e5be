"""Reads that compose several rooms for the portal's pages; call them inside the seat's scope."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from core.context import Actor
from core.models import RequestLog
from payments.acceptance import selectors as acceptance
from payments.acceptance.models import Payment
from payments.acceptance.states import PaymentStatus


@dataclass(frozen=True, slots=True)
class Volume:
    """Captured volume by day (UTC) in one currency, and which other currencies there are."""

    currency: str
    currencies: tuple[str, ...]
    amount_minor: dict[dt.date, int]
    count: dict[dt.date, int]


def volume(*, livemode: bool, since: dt.date, currency: str, fallback: str) -> Volume:
    """The volume since a day, in `currency` where there is any, else in the busiest one."""
    start = dt.datetime.combine(since, dt.time.min, tzinfo=dt.UTC)
    amounts: dict[str, dict[dt.date, int]] = defaultdict(dict)
    counts: dict[str, dict[dt.date, int]] = defaultdict(dict)
    for row in acceptance.volume_by_day(livemode=livemode, since=start):
        amounts[row.currency][row.day] = row.amount_minor
        counts[row.currency][row.day] = row.count
    by_count = sorted(counts, key=lambda code: -sum(counts[code].values()))
    chosen = currency if currency in amounts else ""
    chosen = chosen or (fallback if fallback in amounts else "")
    chosen = chosen or (by_count[0] if by_count else fallback or "USD")
    return Volume(
        currency=chosen,
        currencies=tuple(by_count),
        amount_minor=dict(amounts.get(chosen, {})),
        count=dict(counts.get(chosen, {})),
    )


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


def outcome(*, livemode: bool, day: dt.date) -> Outcome:
    """The outcomes of the payments that were created on a day (UTC)."""
    start = dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)
    wanted = acceptance.PaymentFilter(
        livemode=livemode,
        created_from=start,
        created_to=start + dt.timedelta(days=1, microseconds=-1),
    )
    states = PaymentStatus
    counted = acceptance.payments(wanted).aggregate(
        completed=Count("id", filter=Q(status=states.COMPLETED)),
        failed=Count("id", filter=Q(status=states.FAILED)),
        waiting=Count("id", filter=Q(status__in=[states.PROCESSING, states.REQUIRES_ACTION])),
    )
    return Outcome(**counted)


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
    """The merchants of the scope by captured volume in one currency."""
    wanted = acceptance.PaymentFilter(
        livemode=livemode,
        statuses=(PaymentStatus.COMPLETED,),
        currency=currency,
        created_from=dt.datetime.combine(since, dt.time.min, tzinfo=dt.UTC),
    )
    rows = (
        acceptance.payments(wanted)
        .values("merchant_id")
        .annotate(amount=Sum("amount_captured_minor"), count=Count("id"))
        .order_by("-amount")[:limit]
    )
    return [MerchantVolume(row["merchant_id"], row["amount"], row["count"]) for row in rows]


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
