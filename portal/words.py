"""How a state is said and shown: one word, icon and tone for each, everywhere in the portal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StateWord:
    """The visible form of a state; tone is ok, warn, bad, info, accent, or empty for neutral."""

    word: str
    icon: str
    tone: str = ""


STATES: dict[str, StateWord] = {
    # payments and refunds
    "pending": StateWord("Pending", "clock"),
    "processing": StateWord("Processing", "loader", "info"),
    "requires_action": StateWord("Requires action", "shield-alert", "warn"),
    "requires_capture": StateWord("Uncaptured", "circle-dashed", "warn"),
    "completed": StateWord("Completed", "circle-check", "ok"),
    "failed": StateWord("Failed", "circle-x", "bad"),
    "canceled": StateWord("Canceled", "ban"),
    "expired": StateWord("Expired", "clock"),
    "refunded": StateWord("Refunded", "undo-2"),
    "partially_refunded": StateWord("Partly refunded", "undo-2", "info"),
    "disputed": StateWord("Disputed", "triangle-alert", "bad"),
    # intents
    "created": StateWord("Created", "circle-dashed"),
    "validated": StateWord("Validated", "circle-dashed", "info"),
    "authorized": StateWord("Authorized", "lock", "info"),
    "settled": StateWord("Settled", "circle-check", "ok"),
    "cancelled": StateWord("Canceled", "ban"),
    # ledger
    "posted": StateWord("Posted", "check", "ok"),
    "voided": StateWord("Voided", "minus"),
    # webhooks
    "succeeded": StateWord("Delivered", "circle-check", "ok"),
    "delivered": StateWord("Delivered", "circle-check", "ok"),
    "retrying": StateWord("Retrying", "refresh-cw", "warn"),
    "exhausted": StateWord("Gave up", "circle-x", "bad"),
    "enabled": StateWord("Enabled", "circle-check", "ok"),
    "disabled": StateWord("Disabled", "ban", "bad"),
    "failing": StateWord("Failing", "triangle-alert", "warn"),
    # tenants, members and keys
    "active": StateWord("Active", "circle-check", "ok"),
    "invited": StateWord("Invited", "mail", "info"),
    "suspended": StateWord("Suspended", "ban", "bad"),
    "closed": StateWord("Closed", "minus"),
    "revoked": StateWord("Revoked", "ban"),
    "rotating": StateWord("Rotating", "refresh-cw", "warn"),
    "accepted": StateWord("Accepted", "check", "ok"),
    "sent": StateWord("Sent", "mail", "info"),
    "withdrawn": StateWord("Withdrawn", "ban"),
}


def state_word(state: str) -> StateWord:
    """The visible form of `state`; one that is not listed is shown by its own name."""
    known = STATES.get(state.lower())
    if known is not None:
        return known
    return StateWord(state.replace("_", " ").capitalize() or "Unknown", "circle-dashed")
