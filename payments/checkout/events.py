"""The events of this room.

A session's other moves are in the audit log and in the payment's own events.
"""

from __future__ import annotations

from typing import Final

from core.events import Audience, declare
from payments.checkout.shapes import SessionOut

SESSION_COMPLETED: Final = declare(
    "checkout_session.completed",
    "The payer has paid; `payment` names the payment that counts.",
    carries=SessionOut,
    seen_by=Audience.WEBHOOKS,
)
SESSION_EXPIRED: Final = declare(
    "checkout_session.expired",
    "The session ran out of time or was expired; it was not paid.",
    carries=SessionOut,
    seen_by=Audience.WEBHOOKS,
)
