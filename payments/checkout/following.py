"""Checkout's handler for the relay: a payment of a session has moved."""

from __future__ import annotations

from typing import Final

from core import ids
from core.context import Actor
from core.db import Scope
from core.models import OutboxEvent
from payments.acceptance import events
from payments.acceptance.models import Payment
from payments.checkout.services import CHANNEL, session_follow, session_of_payment

#: `payment.authorized` counts too: a held payment is what a session with manual capture ends with.
FOLLOWED: Final = (
    events.PAYMENT_AUTHORIZED.name,
    events.PAYMENT_COMPLETED.name,
    events.PAYMENT_FAILED.name,
    events.PAYMENT_CANCELED.name,
)


def follow_payment(event: OutboxEvent) -> None:
    """Move the session of a payment that has ended. Harmless to repeat."""
    # Events from before the field was renamed say `channel` alone.
    sold_at = event.payload.get("sales_channel", event.payload.get("channel"))
    if sold_at != CHANNEL or event.merchant_id is None:
        return
    payment_id = ids.decode(Payment.PREFIX, event.aggregate)
    session_id = session_of_payment(payment_id=payment_id)
    if session_id is not None:
        session_follow(
            session_id=session_id,
            scope=Scope.merchant(event.merchant_id),
            actor=Actor.system("relay"),
        )
