"""The public states of payments and refunds; every change goes through these tables.

pending → processing → completed | failed | requires_action
requires_action → processing | completed | failed;  canceled from whatever is not an end
"""

from __future__ import annotations

from typing import Final

from django.db import models

from core.errors import Conflict


class PaymentStatus(models.TextChoices):
    """What a merchant and a payer see of a payment."""

    PENDING = "pending", "Pending"
    PROCESSING = "processing", "Processing"
    REQUIRES_ACTION = "requires_action", "Requires action"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


class RefundStatus(models.TextChoices):
    """What became of a refund."""

    PROCESSING = "processing", "Processing"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"


#: Where payments are made (`Payment.sales_channel`).
SALES_CHANNELS: Final = ("api", "checkout", "service")

_P = PaymentStatus
PAYMENT_MOVES: Final[dict[str, frozenset[PaymentStatus]]] = {
    _P.PENDING: frozenset({_P.PROCESSING, _P.CANCELED}),
    _P.PROCESSING: frozenset({_P.COMPLETED, _P.FAILED, _P.REQUIRES_ACTION, _P.CANCELED}),
    _P.REQUIRES_ACTION: frozenset({_P.PROCESSING, _P.COMPLETED, _P.FAILED, _P.CANCELED}),
    _P.COMPLETED: frozenset(),
    _P.FAILED: frozenset(),
    _P.CANCELED: frozenset(),
}
_R = RefundStatus
REFUND_MOVES: Final[dict[str, frozenset[RefundStatus]]] = {
    _R.PROCESSING: frozenset({_R.COMPLETED, _R.FAILED}),
    _R.COMPLETED: frozenset(),
    _R.FAILED: frozenset(),
}


class PaymentStateConflict(Conflict):
    """The object's state does not allow what was asked."""

    default_code = "payment_state_conflict"


def check_payment_move(current: str, wanted: PaymentStatus) -> None:
    """Raise PaymentStateConflict unless the table allows the move."""
    if wanted not in PAYMENT_MOVES[current]:
        raise PaymentStateConflict(f"A payment that is {current} cannot become {wanted}.")


def check_refund_move(current: str, wanted: RefundStatus) -> None:
    """Raise PaymentStateConflict unless the table allows the move."""
    if wanted not in REFUND_MOVES[current]:
        raise PaymentStateConflict(f"A refund that is {current} cannot become {wanted}.")
