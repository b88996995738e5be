"""The public events: what may be subscribed to, and what each one says.

Only these reach `GET /v1/events` and webhooks; the outbox also carries events that are internal to
the platform. A room above adds its own with `register_event_types` in `AppConfig.ready`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.errors import InvalidRequest

MAX_PATTERNS: Final = 50

_types: dict[str, str] = {
    "payment.created": "A payment was created; nothing has been charged yet.",
    "payment.processing": "The provider has accepted the payment and has not decided yet.",
    "payment.requires_action": "The payer must act (3-D Secure); see `next_action`.",
    "payment.completed": "The payment succeeded; `amount_captured` says how much was taken.",
    "payment.failed": "The payment failed for good; `failure` names the decline.",
    "payment.canceled": "The payment was canceled; any authorization is released.",
    "refund.created": "A refund was created and is on its way to the provider.",
    "refund.completed": "The provider has refunded the amount.",
    "refund.failed": "The refund failed; the amount is back in the balance.",
    "webhook_endpoint.disabled": (
        "An endpoint was disabled: it answered 410, or has failed for two days. Told to the others."
    ),
}


def register_event_types(types: Mapping[str, str]) -> None:
    """Add public events (name → one sentence). Names are `object.verb`."""
    _types.update(types)


def event_types() -> dict[str, str]:
    """Every public event with its description, sorted by name."""
    return dict(sorted(_types.items()))


def is_public(event_type: str) -> bool:
    return event_type in _types


def check_patterns(patterns: object, *, param: str = "events") -> list[str]:
    """Return a subscription's patterns: event names, `object.*`, or `*`; raise InvalidRequest."""
    if not isinstance(patterns, list) or not patterns:
        raise InvalidRequest(
            "Name at least one event, for example payment.completed, or * for all.",
            code="parameter_invalid",
            param=param,
        )
    if len(patterns) > MAX_PATTERNS:
        raise InvalidRequest(
            f"At most {MAX_PATTERNS} events can be named.", code="parameter_invalid", param=param
        )
    families = {name.partition(".")[0] + ".*" for name in _types}
    result: list[str] = []
    for index, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or not (
            pattern == "*" or pattern in _types or pattern in families
        ):
            raise InvalidRequest(
                f"There is no such event. Known events: {', '.join(sorted(_types))}.",
                code="event_unknown",
                param=f"{param}[{index}]",
            )
        if pattern not in result:
            result.append(pattern)
    return result
