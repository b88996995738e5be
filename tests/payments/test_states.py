"""Which moves there are: of an attempt's state, of a payment's and of a refund's status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payments.acceptance.states import (
    PaymentStateConflict,
    PaymentStatus,
    RefundStatus,
    check_payment_move,
    check_refund_move,
)
from payments.intents.states import FINAL, IllegalMove, IntentState, check_move

INTENT = {
    "CREATED": "VALIDATED FAILED CANCELLED EXPIRED",
    "VALIDATED": "AUTHORIZED SETTLED FAILED CANCELLED EXPIRED",
    "AUTHORIZED": "SETTLED FAILED CANCELLED EXPIRED",
}
PAYMENT = {
    "pending": "processing canceled",
    "processing": "completed failed requires_action canceled",
    "requires_action": "processing completed failed canceled",
}
REFUND = {"processing": "completed failed"}


@pytest.mark.parametrize(
    ("check", "moves", "states", "refusal"),
    [
        (check_move, INTENT, IntentState, IllegalMove),
        (check_payment_move, PAYMENT, PaymentStatus, PaymentStateConflict),
        (check_refund_move, REFUND, RefundStatus, PaymentStateConflict),
    ],
    ids=["intent", "payment", "refund"],
)
def test_the_moves_are_these_and_no_others(
    check: Callable[..., None], moves: dict[str, str], states: Any, refusal: type[Exception]
) -> None:
    def allowed(before: str, after: str) -> bool:
        try:
            check(before, after)
        except refusal:
            return False
        return True

    found = {
        before: {after for after in states if allowed(before, after)} for before in states.values
    }
    assert found == {before: set(moves.get(before, "").split()) for before in states.values}


def test_an_attempt_is_over_where_no_move_leads_on() -> None:
    assert {"SETTLED", "FAILED", "CANCELLED", "EXPIRED"} == FINAL
