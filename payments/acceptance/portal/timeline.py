"""A payment's history in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.money import format_money
from payments.acceptance.models import PaymentEvent

# type → (what happened, icon, tone)
_WORDS: Final[dict[str, tuple[str, str, str]]] = {
    "payment.created": ("Payment created", "plus", ""),
    "payment.processing": ("Sent to the provider", "send", "info"),
    "payment.requires_action": ("Waiting for the payer's bank check", "shield-alert", "warn"),
    "payment.authorized": ("Authorized, ready to capture", "lock", "info"),
    "payment.completed": ("Payment completed", "circle-check", "ok"),
    "payment.failed": ("Payment failed", "circle-x", "bad"),
    "payment.canceled": ("Payment canceled", "ban", ""),
    "refund.created": ("Refund requested", "undo-2", "info"),
    "refund.completed": ("Refund completed", "circle-check", "ok"),
    "refund.failed": ("Refund failed", "circle-x", "bad"),
}
_ACTORS: Final = {
    "api_key": "by API key",
    "user": "by",
    "payer": "by the payer",
    "provider": "by the provider",
    "service": "by service",
    "system": "by Merchantry",
}
_NAMED: Final = ("user", "api_key", "service")


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One line of the timeline; `key` tells a new line from those that were there before."""

    key: str
    title: str
    at: dt.datetime
    icon: str
    tone: str
    text: str


def timeline(events: Iterable[PaymentEvent], currency: str) -> list[TimelineItem]:
    """The history, newest first."""
    return [_item(event, currency) for event in reversed(list(events))]


def _item(event: PaymentEvent, currency: str) -> TimelineItem:
    fallback = (event.type.replace(".", " ").replace("_", " ").capitalize(), "circle-dashed", "")
    title, icon, tone = _WORDS.get(event.type, fallback)
    facts = []
    if event.amount_minor is not None:
        facts.append(format_money(event.amount_minor, currency))
    if event.message:
        facts.append(event.message)
    by = _ACTORS.get(event.actor_kind, "by")
    named = event.actor_kind in _NAMED and event.actor_label
    facts.append(f"{by} {event.actor_label}" if named else by)
    return TimelineItem(
        key=event.public_id,
        title=title,
        at=event.created_at,
        icon=icon,
        tone=tone,
        text=" · ".join(facts),
    )
