"""What each public event says: the example of its object, in the state that the event tells."""

from __future__ import annotations

from typing import Any, Final

from core.events import EventSpec
from developers.examples.shapes import (
    CUSTOMER,
    ENDPOINT,
    EVENT,
    LATER,
    METHOD,
    REFUND,
    SESSION,
    payment,
    public_id,
)

#: By the component that an event carries.
_OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "Payment": payment(),
    "Refund": REFUND,
    "Customer": CUSTOMER,
    "PaymentMethod": METHOD,
    "Session": {**SESSION, "url": None},
    "Endpoint": ENDPOINT,
}
_NOTHING_TAKEN: Final = {"amount_captured": 0, "fee": 0, "net": 0, "completed_at": None}
#: How the object differs when the event tells another state than the object's example.
_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "payment.created": {**_NOTHING_TAKEN, "status": "pending"},
    "payment.processing": {**_NOTHING_TAKEN, "status": "processing"},
    "payment.requires_action": {
        **_NOTHING_TAKEN,
        "status": "requires_action",
        "next_action": {"type": "redirect", "url": "https://bank.example/3ds/9f2c"},
    },
    "payment.authorized": {
        **_NOTHING_TAKEN,
        "status": "processing",
        "capture_method": "manual",
        "amount_capturable": 4890,
    },
    "payment.failed": {
        **_NOTHING_TAKEN,
        "status": "failed",
        "failure": {
            "code": "insufficient_funds",
            "message": "The card has insufficient funds.",
        },
    },
    "payment.canceled": {**_NOTHING_TAKEN, "status": "canceled"},
    "payment.dispute_opened": {"amount_disputed": 4890},
    "refund.created": {"status": "processing"},
    "refund.failed": {
        "status": "failed",
        "failure": {
            "code": "refund_failed",
            "message": "The provider refused the refund.",
        },
    },
    "customer.deleted": {"email": None, "name": None, "reference": None},
    "checkout_session.completed": {
        "status": "complete",
        "payment": public_id("pay"),
        "completed_at": LATER,
    },
    "checkout_session.expired": {"status": "expired"},
    "webhook_endpoint.disabled": {
        "status": "disabled",
        "disabled_reason": "failures",
        "failures_in_row": 10,
    },
}


def event_example(spec: EventSpec) -> dict[str, Any]:
    """The body of a webhook of this event."""
    data = {**_OBJECTS[spec.carries], **_CHANGES.get(spec.name, {})}
    return {**EVENT, "type": spec.name, "timestamp": EVENT["created_at"], "data": data}
