"""The sandbox's test cards: Stripe's published numbers and what each does.

Source: https://docs.stripe.com/testing. Two differ from Stripe's on purpose: …0119 stays
processing and settles later, and the numbers ending in 4087 (HTTP 408) and 5043 (HTTP 504) lose the
connection before and after the charge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from payments.providers.base import Decline


class Outcome(StrEnum):
    """What the sandbox's bank does with a charge on this card."""

    APPROVE = "approve"
    DECLINE = "decline"
    CHALLENGE = "challenge"
    CHALLENGE_THEN_DECLINE = "challenge_then_decline"
    PROCESS = "process"
    LOSE_REQUEST = "lose_request"
    LOSE_ANSWER = "lose_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCard:
    """One published number: its scheme, and how charges on it end."""

    number: str
    behaviour: str
    brand: str = "visa"
    funding: str = "credit"
    cvc_digits: int = 3
    outcome: Outcome = Outcome.APPROVE
    decline: Decline | None = None
    disputed: bool = False
    available_at_once: bool = False


_DECLINED: Final = "Your card was declined."

DECLINES: Final = {
    "card_declined": _DECLINED,
    "insufficient_funds": "Your card has insufficient funds.",
    # The message must not reveal to a thief that the card was reported.
    "lost_card": _DECLINED,
    "stolen_card": _DECLINED,
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "authentication_required": (
        "Your card was declined. This transaction requires authentication."
    ),
    "payment_intent_authentication_failure": (
        "The card's bank could not confirm that it is you. Try again or use another card."
    ),
}


def _decline(code: str) -> Decline:
    return Decline(code=code, message=DECLINES[code])


def _declined_card(number: str, code: str) -> TestCard:
    return TestCard(number=number, behaviour=code, outcome=Outcome.DECLINE, decline=_decline(code))


TEST_CARDS: Final = {
    card.number: card
    for card in (
        TestCard(number="4242424242424242", behaviour="succeeds"),
        TestCard(number="5555555555554444", behaviour="succeeds", brand="mastercard"),
        TestCard(number="378282246310005", behaviour="succeeds", brand="amex", cvc_digits=4),
        _declined_card("4000000000000002", "card_declined"),
        _declined_card("4000000000009995", "insufficient_funds"),
        _declined_card("4000000000009987", "lost_card"),
        _declined_card("4000000000009979", "stolen_card"),
        _declined_card("4000000000000069", "expired_card"),
        _declined_card("4000000000000127", "incorrect_cvc"),
        TestCard(
            number="4000000000000119", behaviour="processing_then_settles", outcome=Outcome.PROCESS
        ),
        TestCard(number="4000000000003220", behaviour="three_d_secure", outcome=Outcome.CHALLENGE),
        TestCard(
            number="4000008400001629",
            behaviour="three_d_secure_then_declined",
            outcome=Outcome.CHALLENGE_THEN_DECLINE,
            decline=_decline("card_declined"),
        ),
        TestCard(number="4000000000000259", behaviour="disputed", disputed=True),
        TestCard(number="4000000000000077", behaviour="available_at_once", available_at_once=True),
        TestCard(
            number="4000000000004087",
            behaviour="times_out_before_charging",
            outcome=Outcome.LOSE_REQUEST,
        ),
        TestCard(
            number="4000000000005043",
            behaviour="times_out_after_charging",
            outcome=Outcome.LOSE_ANSWER,
        ),
    )
}
