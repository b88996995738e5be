"""Reads of customers and their saved methods; call them inside `tenant_atomic`."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet

from core.errors import NotFound
from payments.acceptance.models import Customer, PaymentMethod


def customers(
    *, livemode: bool, email: str = "", reference: str = "", merchant_id: uuid.UUID | None = None
) -> QuerySet[Customer]:
    """The customers of the scope in one mode; a filter left empty does not narrow."""
    rows = Customer.objects.filter(livemode=livemode, deleted_at__isnull=True)
    if merchant_id is not None:
        rows = rows.filter(merchant_id=merchant_id)
    if email:
        rows = rows.filter(email=email.strip().lower())
    if reference:
        rows = rows.filter(reference=reference)
    return rows


def customer_get(*, customer_id: uuid.UUID, livemode: bool, with_deleted: bool = False) -> Customer:
    """One customer; `with_deleted` also one whose personal data is gone, for what stays behind.

    Raises:
        NotFound: none in this scope and mode.
    """
    rows = Customer.objects.filter(pk=customer_id, livemode=livemode)
    if not with_deleted:
        rows = rows.filter(deleted_at__isnull=True)
    found = rows.first()
    if found is None:
        raise NotFound("There is no such customer.", param="customer")
    return found


def payment_methods(*, customer_id: uuid.UUID, livemode: bool) -> QuerySet[PaymentMethod]:
    """The saved methods of a customer that are still attached."""
    return PaymentMethod.objects.filter(
        customer_id=customer_id, livemode=livemode, detached_at__isnull=True
    )


def payment_method_get(*, payment_method_id: uuid.UUID, livemode: bool) -> PaymentMethod:
    """One saved method that can be charged.

    Raises:
        NotFound: none in this scope and mode, or detached.
    """
    found = PaymentMethod.objects.filter(
        pk=payment_method_id, livemode=livemode, detached_at__isnull=True
    ).first()
    if found is None:
        raise NotFound("There is no such payment method.", param="payment_method")
    return found
