"""The one place where rows are locked: short, payments before refunds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

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


def lock_unreleased(payment_ids: Iterable[uuid.UUID]) -> list[Payment]:
    """Lock those of the payments that are not released; rows locked elsewhere are skipped."""
    return list(
        Payment.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=payment_ids, released_at__isnull=True)
        .order_by("id")
    )


def lock_refund(refund_id: uuid.UUID) -> tuple[Payment, Refund]:
    """A refund with its payment, both locked, the payment first."""
    payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id)
    payment = lock_payment(payment_id)
    return payment, Refund.objects.select_for_update(no_key=True).get(pk=refund_id)


def lock_customer(customer_id: uuid.UUID, *, livemode: bool) -> Customer:
    """The customer, locked until the open transaction ends.

    Raises:
        NotFound: none in this scope and mode.
    """
    rows = Customer.objects.select_for_update(no_key=True)
    found = rows.filter(pk=customer_id, livemode=livemode, deleted_at__isnull=True).first()
    if found is None:
        raise NotFound("There is no such customer.", param="customer")
    return found
