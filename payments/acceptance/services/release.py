"""Pending becomes available: the net of a payment, two days after it was captured."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import structlog
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import AppError
from core.sweep import due_batches
from core.unit import Writes
from ledger.chart import MerchantBook, TransferCode
from ledger.services import TransferSpec, post_or_raise
from payments.acceptance.events import PAYMENT_DISPUTE_OPENED
from payments.acceptance.lock_objects import lock_unreleased
from payments.acceptance.models import Payment, PaymentEvent
from payments.acceptance.states import RefundStatus
from payments.intents.models import Intent

log = structlog.get_logger(__name__)

RELEASER = Actor.system("release")


def release_due(*, batch: int = 500) -> int:
    """Release everything that is due, a transaction per merchant; returns how many payments."""
    released = 0
    for due in due_batches(_due, by="available_at", batch=batch):
        by_merchant: dict[uuid.UUID, list[uuid.UUID]] = {}
        for payment_id, merchant_id in due:
            by_merchant.setdefault(merchant_id, []).append(payment_id)
        for merchant_id, payment_ids in by_merchant.items():
            try:
                released += _release(merchant_id, payment_ids)
            except AppError as error:
                # One merchant's books that refuse (a closed account) must not hold up the others.
                log.error("release.refused", merchant_id=str(merchant_id), error=error.message)
    return released


def _due() -> QuerySet[Payment]:
    return _releasable(
        Payment.objects.filter(released_at__isnull=True, available_at__lte=timezone.now())
    )


def _releasable(payments: QuerySet[Payment]) -> QuerySet[Payment]:
    """Those whose net is certain.

    A refund on its way is booked against pending: wait until it has landed. A payment in
    the exceptions inbox may be worth less than the books say: wait for staff.
    """
    in_doubt = Intent.objects.filter(pk=OuterRef("intent_id"), exception_at__isnull=False)
    return payments.exclude(refunds__status=RefundStatus.PROCESSING).exclude(Exists(in_doubt))


def _release(merchant_id: uuid.UUID, payment_ids: list[uuid.UUID]) -> int:
    with tenant_atomic(Scope.merchant(merchant_id)):
        locked = lock_unreleased(payment_ids)
        # Asked again now that no refund can begin beside us.
        certain = set(
            _releasable(Payment.objects.filter(pk__in=payment_ids)).values_list("id", flat=True)
        )
        payments = [payment for payment in locked if payment.id in certain]
        disputed = _disputed(payment.id for payment in payments)
        writes = Writes()
        transfers = []
        for payment in payments:
            payment.released_at = timezone.now()
            read_version, payment.version = payment.version, payment.version + 1
            writes.update(
                payment, "released_at", "version", expect={"version": read_version}, what="payment"
            )
            transfer = _release_transfer(payment, disputed_minor=disputed.get(payment.id, 0))
            if transfer is not None:
                transfers.append(transfer)
            writes.insert(_history(payment))
            writes.record(payment, action="payment.available", event=None, actor=RELEASER)
        writes.flush()
        if transfers:
            post_or_raise(transfers)
    return len(payments)


def _disputed(payment_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """What disputes have taken out of pending: before the release they take it from there.

    What a dispute gives back goes to available, whenever it ends, so it is not counted here.
    """
    opened = PaymentEvent.objects.filter(
        payment_id__in=list(payment_ids), type=PAYMENT_DISPUTE_OPENED.name
    )
    return dict(opened.values_list("payment_id").annotate(Sum("amount_minor")))


def _release_transfer(payment: Payment, *, disputed_minor: int) -> TransferSpec | None:
    """What is left of the payment in pending; below zero it moves the other way."""
    net_minor = (
        payment.amount_captured_minor
        - payment.fee_minor
        - payment.amount_refunded_minor
        - disputed_minor
    )
    book = MerchantBook(
        merchant_id=payment.merchant_id,
        reseller_id=payment.reseller_id,
        currency=payment.currency,
        livemode=payment.livemode,
    )
    if net_minor == 0:
        return None
    forward = net_minor > 0
    return TransferSpec(
        id=uuid.uuid5(payment.id, "available"),
        debit=book.pending if forward else book.available,
        credit=book.available if forward else book.pending,
        amount_minor=abs(net_minor),
        code=TransferCode.AVAILABLE,
        document_id=payment.id,
    )


def _history(payment: Payment) -> PaymentEvent:
    return PaymentEvent(
        merchant_id=payment.merchant_id,
        reseller_id=payment.reseller_id,
        livemode=payment.livemode,
        payment=payment,
        type="payment.available",
        status=payment.status,
        amount_minor=None,
        actor_kind=RELEASER.kind,
        actor_label=RELEASER.label,
    )
