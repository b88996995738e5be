"""What every change of a payment or refund writes beside the row: history, audit, event."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone

from core.context import Actor
from core.events import EventSpec
from core.rows import new_row
from core.unit import Writes
from payments.acceptance import events
from payments.acceptance.models import Payment, PaymentEvent, Refund
from payments.acceptance.shapes import payment_out, refund_out
from payments.acceptance.states import (
    PaymentStatus,
    RefundStatus,
    check_payment_move,
    check_refund_move,
)

#: Who changes a payment when the provider reports something.
PROVIDER: Final = Actor.system("provider")
#: The event of a payment or refund that reaches a state; none is ever moved to its first state.
PAYMENT_EVENTS: Final = {
    PaymentStatus.PROCESSING: events.PAYMENT_PROCESSING,
    PaymentStatus.REQUIRES_ACTION: events.PAYMENT_REQUIRES_ACTION,
    PaymentStatus.COMPLETED: events.PAYMENT_COMPLETED,
    PaymentStatus.FAILED: events.PAYMENT_FAILED,
    PaymentStatus.CANCELED: events.PAYMENT_CANCELED,
}
REFUND_EVENTS: Final = {
    RefundStatus.COMPLETED: events.REFUND_COMPLETED,
    RefundStatus.FAILED: events.REFUND_FAILED,
}


def record_payment(
    writes: Writes,
    payment: Payment,
    event: EventSpec,
    *,
    actor: Actor,
    before: dict[str, Any] | None = None,
    amount_minor: int | None = None,
    message: str = "",
    data: dict[str, Any] | None = None,
) -> None:
    """Add history line, audit record and outbox event for a change of a payment."""
    writes.insert(
        new_row(
            PaymentEvent,
            merchant_id=payment.merchant_id,
            reseller_id=payment.reseller_id,
            livemode=payment.livemode,
            payment_id=payment.id,
            type=event.name,
            status=payment.status,
            amount_minor=amount_minor,
            actor_kind=actor.kind,
            actor_label=actor.label or actor.id,
            message=message[:300],
            data=data or {},
        )
    )
    writes.record(
        payment,
        action=event.name,
        event=event,
        actor=actor,
        before=before,
        after={"status": payment.status, "amount": amount_minor},
        payload=payment_out(payment),
    )


def move_payment(
    writes: Writes,
    payment: Payment,
    status: PaymentStatus,
    *,
    actor: Actor,
    amount_minor: int | None = None,
    message: str = "",
) -> None:
    """Change the status through the state table and record it; the caller saves the row."""
    before = payment.status
    check_payment_move(before, status)
    payment.status = status
    payment.updated_at = timezone.now()
    record_payment(
        writes,
        payment,
        PAYMENT_EVENTS[status],
        actor=actor,
        before={"status": before},
        amount_minor=amount_minor,
        message=message,
    )


def save_payment(writes: Writes, payment: Payment, *fields: str) -> None:
    """Write the named columns, on condition that the row has not changed since it was read."""
    read_version = payment.version
    payment.version = read_version + 1
    payment.updated_at = timezone.now()
    writes.update(
        payment,
        "version",
        "updated_at",
        *fields,
        expect={"version": read_version},
        what="The payment",
    )


def record_refund(
    writes: Writes, refund: Refund, payment: Payment, event: EventSpec, *, actor: Actor
) -> None:
    """Add history line (on the payment), audit record and outbox event for a refund."""
    writes.insert(
        new_row(
            PaymentEvent,
            merchant_id=payment.merchant_id,
            reseller_id=payment.reseller_id,
            livemode=payment.livemode,
            payment_id=payment.id,
            type=event.name,
            status=payment.status,
            amount_minor=refund.amount_minor,
            actor_kind=actor.kind,
            actor_label=actor.label or actor.id,
            message=refund.failure_message or refund.reason,
            data={"refund": refund.public_id},
        )
    )
    writes.record(
        refund,
        action=event.name,
        event=event,
        actor=actor,
        after={"status": refund.status, "amount": refund.amount_minor},
        payload=refund_out(refund),
        aggregate=payment.public_id,
        # Its claimed amount moves with the refund.
        also=(payment,),
    )


def move_refund(
    writes: Writes, refund: Refund, payment: Payment, status: RefundStatus, *, actor: Actor
) -> None:
    """Change a refund's status through the state table, and record it."""
    check_refund_move(refund.status, status)
    before = refund.status
    refund.status = status
    refund.updated_at = timezone.now()
    writes.update(
        refund,
        "status",
        "updated_at",
        "failure_code",
        "failure_message",
        expect={"status": before},
        what="The refund",
    )
    record_refund(writes, refund, payment, REFUND_EVENTS[status], actor=actor)
