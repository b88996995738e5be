"""What each public event says: the example of its object, in the state that the event reports."""

from __future__ import annotations

from typing import Any, Final

from core.events import EventSpec
from core.shapes import example
from developers.examples.money import FORGOTTEN, NOTHING_TAKEN, PAID
from developers.examples.platform import EVENT
from payments.intents.shapes import FailureOut, NextActionOut

#: How the object differs when the event reports another state than the object's example.
_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "payment.created": {**NOTHING_TAKEN, "status": "pending"},
    "payment.processing": {**NOTHING_TAKEN, "status": "processing"},
    "payment.requires_action": {
        **NOTHING_TAKEN,
        "status": "requires_action",
        "next_action": example(NextActionOut),
    },
    "payment.authorized": {
        **NOTHING_TAKEN,
        "status": "processing",
        "capture_method": "manual",
        "amount_capturable": 4890,
    },
    "payment.failed": {**NOTHING_TAKEN, "status": "failed", "failure": example(FailureOut)},
    "payment.canceled": {**NOTHING_TAKEN, "status": "canceled"},
    "payment.dispute_opened": {"amount_disputed": 4890},
    "refund.created": {"status": "processing"},
    "refund.failed": {
        "status": "failed",
        "failure": example(
            FailureOut, code="refund_failed", message="The provider refused the refund."
        ),
    },
    "customer.deleted": FORGOTTEN,
    "checkout_session.completed": PAID,
    "checkout_session.expired": {"status": "expired"},
    "webhook_endpoint.disabled": {
        "status": "disabled",
        "disabled_reason": "failures",
        "failures_in_row": 10,
    },
}


def event_example(spec: EventSpec) -> dict[str, Any]:
    """The body of a webhook of this event."""
    assert spec.carries is not None
    data: Any = example(spec.carries, **_CHANGES.get(spec.name, {}))
    return {**EVENT, "type": spec.name, "timestamp": EVENT["created_at"], "data": data}
