"""The catalogue of events: what may happen, what an event of each type says, and who may see it.

Each room declares its events in a module `events` at its top, which is imported at start-up:

    PAYMENT_COMPLETED: Final = declare(
        "payment.completed", "The payment succeeded.", carries="Payment", seen_by=Audience.WEBHOOKS
    )

Services pass the declared object to `Writes.record`, so a misspelt event fails when its module is
imported. The docs, the choice of events for a webhook endpoint, the portal's filters and the
OpenAPI document read this catalogue.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Audience(enum.Enum):
    """Who may see an event; each also reaches the platform's own subscribers."""

    #: Integrators, by webhook and `GET /v1/events`, and the tenant's open pages of the portal.
    WEBHOOKS = "webhooks"
    #: The tenant's open pages of the portal, which learn type, object and status.
    PORTAL = "portal"
    #: The platform's subscribers alone.
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One type of event.

    Attributes:
        name: `object.verb`, as it is stored, sent and subscribed to; at most 64 characters.
        text: one sentence for integrators.
        seen_by: who may see it.
        carries: the OpenAPI component of its payload; empty for events that integrators never see.
    """

    name: str
    text: str
    seen_by: Audience
    carries: str

    @property
    def family(self) -> str:
        """The object that it is about: `payment` of `payment.completed`."""
        return self.name.partition(".")[0]

    @property
    def is_public(self) -> bool:
        """Whether integrators see it."""
        return self.seen_by is Audience.WEBHOOKS


_declared: dict[str, EventSpec] = {}


def declare(name: str, text: str, *, seen_by: Audience, carries: str = "") -> EventSpec:
    """Add an event to the catalogue and return it, for `Writes.record`.

    Raises ValueError: the name is taken, or the payload of a public event has no component.
    """
    if name in _declared:
        raise ValueError(f"The event {name} is declared twice.")
    if (seen_by is Audience.WEBHOOKS) != bool(carries):
        raise ValueError(f"The event {name} carries a component exactly when it is public.")
    spec = _declared[name] = EventSpec(name, text, seen_by, carries)
    return spec


def find(name: str) -> EventSpec | None:
    """The event of this name; None for a name of an older version, or none of ours."""
    return _declared.get(name)


def is_declared(spec: EventSpec) -> bool:
    """Whether this is an event of the catalogue, not one made beside it."""
    return _declared.get(spec.name) is spec


def is_public(name: str) -> bool:
    """Whether integrators see events of this name."""
    spec = _declared.get(name)
    return spec is not None and spec.is_public


def public_events() -> dict[str, EventSpec]:
    """Every public event, name → declaration, sorted by name."""
    return {name: spec for name, spec in sorted(_declared.items()) if spec.is_public}


def public_families() -> dict[str, list[EventSpec]]:
    """The public events by the object that they are about, sorted by name."""
    families: dict[str, list[EventSpec]] = {}
    for spec in public_events().values():
        families.setdefault(spec.family, []).append(spec)
    return families
