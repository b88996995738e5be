"""The one place where payments and refunds are locked: short, payments before refunds."""

from __future__ import annotations

import uuid

from core.errors import NotFound
from payments.acceptance.models import Customer, Payment, Refund


def lock_payment(payment_id: uuid.UUID) -> Payment:
    """The payment, locked until the open transaction ends.

    Raises:
        NotFound: no such payment in this scope.
    """
    payment = Payment.objects.select_for_update(no_key=True).filter(pk=payment_id).first()
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment


def lock_refund(refund_id: uuid.UUID) -> tuple[Payment, Refund]:
    """A refund with its payment, both locked, the payment first."""
    payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id)
    payment = lock_payment(payment_id)
    return payment, Refund.objects.select_for_update(no_key=True).get(pk=refund_id)


def lock_customer(customer_id: uuid.UUID) -> None:
    """Let nobody else change what belongs to the customer until the open transaction ends."""
    Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
