"""A payment's history in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.money import format_money
from payments.acceptance.models import PaymentEvent
from payments.acceptance.portal.reasons import dispute_reason, refund_reason

# type → (what happened, icon, tone)
_WORDS: Final[dict[str, tuple[str, str, str]]] = {
    "payment.created": ("Payment created", "plus", ""),
    "payment.processing": ("Sent to the provider", "send", "info"),
    "payment.requires_action": ("Waiting for the payer's bank check", "shield-alert", "warn"),
    "payment.authorized": ("Authorized, ready to capture", "lock", "info"),
    "payment.completed": ("Payment completed", "circle-check", "ok"),
    "payment.failed": ("Payment failed", "circle-x", "bad"),
    "payment.canceled": ("Payment canceled", "ban", ""),
    "payment.dispute_opened": ("Disputed by the payer", "triangle-alert", "bad"),
    "payment.dispute_won": ("Dispute won, the amount came back", "circle-check", "ok"),
    "payment.dispute_lost": ("Dispute lost, the amount went to the payer", "circle-x", "bad"),
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
    """One line of the timeline; `key` distinguishes new lines from those already shown."""

    key: str
    title: str
    at: dt.datetime
    icon: str
    tone: str
    text: str


def timeline(events: Iterable[PaymentEvent], currency: str) -> list[TimelineItem]:
    """The history, newest first."""
    return [_item(event, currency) for event in reversed(list(events))]


def _said(event: PaymentEvent) -> str:
    """The event's message; that of a dispute, and of a refund that did not fail, is a code."""
    if event.type == "payment.dispute_opened":
        return f"the payer says that {dispute_reason(event.message)}"
    if event.type.startswith("payment.dispute_"):
        return dispute_reason(event.message)
    is_reason = event.type.startswith("refund.") and event.type != "refund.failed"
    return refund_reason(event.message) if is_reason else event.message


def _item(event: PaymentEvent, currency: str) -> TimelineItem:
    fallback = (event.type.replace(".", " ").replace("_", " ").capitalize(), "circle-dashed", "")
    title, icon, tone = _WORDS.get(event.type, fallback)
    facts = []
    if event.amount_minor is not None:
        facts.append(format_money(event.amount_minor, currency))
    if event.message:
        facts.append(_said(event))
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
