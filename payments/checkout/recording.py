"""What every change of a checkout session writes beside the row: audit record and event."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone

from core.context import Actor
from core.unit import Writes
from payments.checkout.models import CheckoutSession
from payments.checkout.representations import session_json
from payments.checkout.states import SessionStatus, check_session_move

_EVENT: Final = {
    SessionStatus.OPEN: "reopened",
    SessionStatus.PROCESSING: "processing",
    SessionStatus.COMPLETE: "completed",
    SessionStatus.EXPIRED: "expired",
}
#: What integrators may subscribe to; the other moves are in the audit log and in the payment's own
#: events.
PUBLIC_EVENTS: Final = {
    "checkout_session.completed": "The payer has paid; `payment` names the payment that counts.",
    "checkout_session.expired": "The session ran out of time or was expired; it was not paid.",
}


def move_session(
    writes: Writes, session: CheckoutSession, status: SessionStatus, *, actor: Actor
) -> None:
    """Change the status through the table and record it, under the row's lock."""
    before = session.status
    check_session_move(before, status)
    session.status = status
    session.updated_at = timezone.now()
    writes.update(
        session,
        "status",
        "payment",
        "completed_at",
        "canceled_at",
        "updated_at",
        expect={"status": before},
        what="The checkout session",
    )
    record_session(
        writes, session, f"checkout_session.{_EVENT[status]}", actor=actor, before=str(before)
    )


def record_session(
    writes: Writes, session: CheckoutSession, action: str, *, actor: Actor, before: str = ""
) -> None:
    payload: dict[str, Any] = session_json(session)
    writes.audit(
        actor=actor,
        action=action,
        target=session.public_id,
        before={"status": before} if before else None,
        after={"status": session.status, "amount": session.amount_minor},
        merchant_id=session.merchant_id,
        reseller_id=session.reseller_id,
        livemode=session.livemode,
    )
    if action in PUBLIC_EVENTS:
        writes.emit(
            action,
            aggregate=session.public_id,
            payload=payload,
            merchant_id=session.merchant_id,
            reseller_id=session.reseller_id,
            livemode=session.livemode,
        )
