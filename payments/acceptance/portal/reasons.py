"""Reasons of refunds and disputes in words: the merchant's, and the payer's to the bank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from payments.acceptance.models import PaymentEvent

REFUND_REASONS: Final = (
    ("requested_by_customer", "The customer asked for it"),
    ("duplicate", "Charged twice"),
    ("fraudulent", "It was fraud"),
    ("other", "Something else"),
)
# The codes are Stripe's dispute reasons, to which the adapters map a provider's own.
_DISPUTE_REASONS: Final = {
    "bank_cannot_process": "their bank could not process the payment",
    "check_returned": "the check was returned",
    "credit_not_processed": "they were promised a refund that did not come",
    "customer_initiated": "they asked their bank for the money back",
    "debit_not_authorized": "they did not allow the debit",
    "duplicate": "they were charged twice",
    "fraudulent": "they did not make this payment",
    "general": "they gave no closer reason",
    "incorrect_account_details": "the account details were wrong",
    "insufficient_funds": "the account did not hold enough",
    "noncompliant": "the payment broke a rule of the card scheme",
    "product_not_received": "they did not receive what they paid for",
    "product_unacceptable": "what they received was not as described, or damaged",
    "subscription_canceled": "they had canceled the subscription",
    "unrecognized": "they do not recognize the payment",
}


def refund_reason(code: str) -> str:
    """The reason of a refund as people write it; an unknown code is shown by its own name."""
    return dict(REFUND_REASONS).get(code) or code.replace("_", " ").capitalize()


def dispute_reason(code: str) -> str:
    """What the payer said, after "The payer says that"; empty where the provider gives none."""
    return _DISPUTE_REASONS.get(code) or code.replace("_", " ")


@dataclass(frozen=True, slots=True)
class OpenDispute:
    """A dispute that the payer's bank has not decided yet."""

    amount_minor: int
    reason: str


def open_disputes(events: Iterable[PaymentEvent]) -> list[OpenDispute]:
    """The disputes among a payment's events that were opened and have not ended, oldest first."""
    found: dict[str, OpenDispute] = {}
    for event in events:
        dispute = event.data.get("dispute", "")
        if event.type == "payment.dispute_opened":
            found[dispute] = OpenDispute(event.amount_minor or 0, dispute_reason(event.message))
        elif event.type in ("payment.dispute_won", "payment.dispute_lost"):
            found.pop(dispute, None)
    return list(found.values())
