"""The state of a payment as screens show it: of one row, and as a filter of the table.

Refunds, disputes and a waiting capture are no states of their own: they are in the amounts beside
the status. What a pill says and what its filter finds are written here next to each other.
"""

from __future__ import annotations

from typing import Final

from django.db.models import F, Q

from payments.acceptance.models import Payment
from payments.acceptance.states import PaymentStatus

_DISPUTED: Final = Q(amount_disputed_minor__gt=0)
_REFUNDED: Final = Q(amount_refunded_minor__gt=0, status=PaymentStatus.COMPLETED)
_WHOLLY: Final = Q(amount_refunded_minor__gte=F("amount_captured_minor"))
_CAPTURABLE: Final = Q(amount_capturable_minor__gt=0, status=PaymentStatus.PROCESSING)

#: Every state that a person sees, with the rows that are in it; each row is in exactly one.
SHOWN_STATES: Final[dict[str, Q]] = {
    "disputed": _DISPUTED,
    "refunded": _REFUNDED & _WHOLLY & ~_DISPUTED,
    "partially_refunded": _REFUNDED & ~_WHOLLY & ~_DISPUTED,
    "requires_capture": _CAPTURABLE & ~_DISPUTED,
    **{
        status.value: Q(status=status) & ~_DISPUTED & ~_REFUNDED & ~_CAPTURABLE
        for status in PaymentStatus
    },
}


def shown_state(payment: Payment) -> str:
    """The state as a person thinks of it: refunds, disputes and a waiting capture come first."""
    if payment.amount_disputed_minor:
        return "disputed"
    if payment.amount_refunded_minor and payment.status == PaymentStatus.COMPLETED:
        whole = payment.amount_refunded_minor >= payment.amount_captured_minor
        return "refunded" if whole else "partially_refunded"
    if payment.amount_capturable_minor and payment.status == PaymentStatus.PROCESSING:
        return "requires_capture"
    return payment.status
