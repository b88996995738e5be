"""Reads of payments and refunds; call them inside `tenant_atomic`.

Every query names the tenant although row-level security enforces it again: the planner finds its
index by the explicit predicate.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Count, Model, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from core import ids
from core.context import Actor
from core.db import current_scope, tenant_atomic
from core.errors import NotFound
from core.spans import ALWAYS, Span
from payments.acceptance.models import Customer, Payment, PaymentEvent, Refund
from payments.acceptance.selectors.shown import SHOWN_STATES
from payments.intents.models import Intent

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """What a list of payments is narrowed to; amounts in minor units.

    `shown` is a state as people see it (`SHOWN_STATES`), `statuses` are those of the API.
    """

    livemode: bool
    statuses: tuple[str, ...] = ()
    shown: str = ""
    created: Span = ALWAYS
    amount_min_minor: int | None = None
    amount_max_minor: int | None = None
    currency: str = ""
    customer_id: uuid.UUID | None = None
    merchant_id: uuid.UUID | None = None
    reference: str = ""
    last4: str = ""
    email: str = ""
    search: str = ""


def payments(wanted: PaymentFilter) -> QuerySet[Payment]:
    """The payments of the scope that fit, unordered (pages order by id, newest first)."""
    rows = in_scope(Payment.objects.filter(livemode=wanted.livemode))
    exact: dict[str, Any] = {
        "merchant_id": wanted.merchant_id,
        "customer_id": wanted.customer_id,
        "currency": wanted.currency.upper() or None,
        "reference": wanted.reference or None,
        "last4": wanted.last4 or None,
        "customer__email": wanted.email.strip().lower() or None,
        "amount_minor__gte": wanted.amount_min_minor,
        "amount_minor__lte": wanted.amount_max_minor,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    rows = rows.filter(wanted.created.on("created_at"))
    if wanted.statuses:
        rows = rows.filter(status__in=wanted.statuses)
    if wanted.shown:
        rows = rows.filter(SHOWN_STATES[wanted.shown])
    if wanted.search:
        rows = rows.filter(payment_search(wanted.search.strip()))
    return rows


def payment_search(text: str) -> Q:
    """One box for everything that people paste: an id, a reference, four digits, an e-mail.

    What was typed decides the column: an OR over two tables would read both of them whole.
    """
    try:
        return Q(pk=ids.decode(Payment.PREFIX, text))
    except NotFound:
        pass
    if "@" in text:
        return Q(customer_id__in=Customer.objects.filter(email=text.lower()).values("id"))
    if len(text) == 4 and text.isdigit():
        # The number of an order may have four digits too.
        return Q(last4=text) | Q(reference=text)
    return Q(reference=text)


def payment_get(*, payment_id: uuid.UUID, livemode: bool) -> Payment:
    """One payment with its customer.

    Raises:
        NotFound: none in this scope and mode.
    """
    found = (
        in_scope(Payment.objects.filter(pk=payment_id, livemode=livemode))
        .select_related("customer")
        .first()
    )
    if found is None:
        raise NotFound("There is no such payment.")
    return found


@dataclass(frozen=True, slots=True)
class Refundable:
    """What of a payment can still go back to the payer, and what disputes keep from it."""

    left_minor: int
    held_minor: int


def payment_refundable(payment: Payment) -> Refundable:
    """How much can be refunded now, in minor units.

    Amounts in open and lost disputes are excluded: the payer's bank may get the money or has it,
    and a refund would pay the payer twice.
    """
    held = payment.amount_disputed_minor + payment.amount_lost_minor
    left = payment.amount_captured_minor - payment.amount_refunded_minor - held
    return Refundable(left_minor=max(0, left), held_minor=held)


def payment_is_visible(actor: Actor, public_id: str) -> bool:
    """Whether the payment is one of the actor's; opens a scope of its own (for websockets)."""
    with tenant_atomic(actor.scope):
        try:
            payment_get(payment_id=ids.decode(Payment.PREFIX, public_id), livemode=actor.livemode)
        except NotFound:
            return False
    return True


def payment_events(*, payment_id: uuid.UUID) -> list[PaymentEvent]:
    """The history of a payment, oldest first."""
    return list(PaymentEvent.objects.filter(payment_id=payment_id).order_by("id"))


def payment_attempts(*, payment_id: uuid.UUID) -> list[Intent]:
    """The intents of a payment, oldest first."""
    return list(
        Intent.objects.filter(document_id=payment_id, document_type="payment").order_by("id")
    )


def refunds(
    *, livemode: bool, payment_id: uuid.UUID | None = None, status: str = ""
) -> QuerySet[Refund]:
    """The refunds of the scope."""
    rows = in_scope(Refund.objects.filter(livemode=livemode))
    if payment_id is not None:
        rows = rows.filter(payment_id=payment_id)
    if status:
        rows = rows.filter(status=status)
    return rows


def refund_get(*, refund_id: uuid.UUID, livemode: bool) -> Refund:
    """One refund.

    Raises:
        NotFound: none in this scope and mode.
    """
    found = in_scope(Refund.objects.filter(pk=refund_id, livemode=livemode)).first()
    if found is None:
        raise NotFound("There is no such refund.")
    return found


@dataclass(frozen=True, slots=True)
class DayVolume:
    """What was captured on one day (UTC), in minor units of one currency."""

    day: dt.date
    currency: str
    amount_minor: int
    count: int


def volume_by_day(
    *, livemode: bool, since: dt.datetime, until: dt.datetime | None = None
) -> list[DayVolume]:
    """Volume a day (UTC) and currency by when it was captured, from `since` until before `until`.

    Days without any are left out. What a day holds does not change once it is over: a payment is
    captured once, and what is refunded later is another figure.
    """
    rows = in_scope(Payment.objects.filter(livemode=livemode, completed_at__gte=since))
    if until is not None:
        rows = rows.filter(completed_at__lt=until)
    grouped = (
        rows.annotate(day=TruncDate("completed_at", tzinfo=dt.UTC))
        .values("day", "currency")
        .annotate(amount=Sum("amount_captured_minor"), count=Count("id"))
        .order_by("day", "currency")
    )
    return [
        DayVolume(row["day"], row["currency"], row["amount"] or 0, row["count"]) for row in grouped
    ]


def volume_by_merchant(
    *, livemode: bool, since: dt.datetime, currency: str, limit: int
) -> list[tuple[uuid.UUID, int, int]]:
    """The merchants that captured most in a currency since a moment: (id, minor units, count)."""
    rows = in_scope(
        Payment.objects.filter(livemode=livemode, completed_at__gte=since, currency=currency)
    )
    grouped = (
        rows.values("merchant_id")
        .annotate(amount=Sum("amount_captured_minor"), count=Count("id"))
        .order_by("-amount", "merchant_id")[:limit]
    )
    return [(row["merchant_id"], row["amount"] or 0, row["count"]) for row in grouped]


def in_scope(rows: QuerySet[M]) -> QuerySet[M]:
    """Keep the open scope's tenant in the query itself."""
    scope = current_scope()
    if scope is not None and scope.role == "app_merchant":
        return rows.filter(merchant_id=scope.tenant)
    if scope is not None and scope.role == "app_reseller":
        return rows.filter(reseller_id=scope.tenant)
    return rows
