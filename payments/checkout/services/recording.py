"""What every change of a checkout session writes beside the row: audit record and event."""

from __future__ import annotations

from typing import Final

from django.utils import timezone

from core.context import Actor
from core.events import EventSpec
from core.unit import Writes
from payments.checkout import events
from payments.checkout.models import CheckoutSession
from payments.checkout.shapes import session_out
from payments.checkout.states import SessionStatus, check_session_move

_VERBS: Final = {
    SessionStatus.OPEN: "reopened",
    SessionStatus.PROCESSING: "processing",
    SessionStatus.COMPLETE: "completed",
    SessionStatus.EXPIRED: "expired",
}
#: The event of a session that reaches a state, beside its audit record.
SESSION_EVENTS: Final = {
    SessionStatus.OPEN: None,
    SessionStatus.PROCESSING: None,
    SessionStatus.COMPLETE: events.SESSION_COMPLETED,
    SessionStatus.EXPIRED: events.SESSION_EXPIRED,
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
        writes,
        session,
        f"checkout_session.{_VERBS[status]}",
        event=SESSION_EVENTS[status],
        actor=actor,
        before=str(before),
    )


def record_session(
    writes: Writes,
    session: CheckoutSession,
    action: str,
    *,
    event: EventSpec | None,
    actor: Actor,
    before: str = "",
) -> None:
    """Add audit record and, unless it is None, event for a change of a session."""
    writes.record(
        session,
        action=action,
        event=event,
        actor=actor,
        before={"status": before} if before else None,
        after={"status": session.status, "amount": session.amount_minor},
        payload=None if event is None else session_out(session),
    )
