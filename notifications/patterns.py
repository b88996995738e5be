"""What an endpoint subscribes to: events by name, all of one object (`payment.*`), or all (`*`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.errors import InvalidRequest
from core.events import EventSpec, public_events, public_families

MAX_PATTERNS: Final = 50


def known_patterns() -> list[str]:
    """Everything that can be subscribed to: all events, those of one object, each by name."""
    return ["*", *(f"{family}.*" for family in public_families()), *public_events()]


def check_patterns(patterns: object, *, param: str = "events") -> list[str]:
    """Return a subscription's patterns, each once; raise InvalidRequest."""
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
    known = frozenset(known_patterns())
    result: list[str] = []
    for index, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or pattern not in known:
            raise InvalidRequest(
                f"There is no such event. Known events: {', '.join(public_events())}.",
                code="event_unknown",
                param=f"{param}[{index}]",
            )
        if pattern not in result:
            result.append(pattern)
    return result


def wanted_types(patterns: Sequence[str]) -> list[str]:
    """The names of the public events that a subscription asks for."""
    return [spec.name for spec in public_events().values() if _wants(patterns, spec)]


def _wants(patterns: Sequence[str], spec: EventSpec) -> bool:
    return bool({spec.name, f"{spec.family}.*", "*"} & set(patterns))
