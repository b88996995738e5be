"""What a dispute does to a payment: the amount is held at opening, and goes or comes back.

Evidence, deadlines and the dispute as a document of its own belong to the disputes room; here only
the payment and the books follow the provider's word.
"""

from __future__ import annotations

import dataclasses
import uuid
from typing import Final

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.events import EventSpec
from core.unit import Writes
from ledger.chart import AccountRef, TransferCode
from ledger.services import TransferSpec, post_or_raise
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment, PaymentEvent
from payments.acceptance.services.recording import record_payment, save_payment
from payments.intents.bookings import book_of
from payments.intents.models import Intent
from payments.providers.base import DisputeNotice

PROVIDER: Final = Actor.system("provider")
#: An inquiry (`warning_…`) moves no money; `prevented` was stopped before it did.
_OPENED: Final = {"needs_response", "under_review"}
_ENDED: Final = {"won", "lost"}


def dispute_notice(intent: Intent, notice: DisputeNotice) -> None:
    """Apply a provider's dispute update; repeated and late updates change nothing.

    Raises:
        ValueError: the dispute is in another currency than the payment, or of something that is
            no payment; a person must look at it.
    """
    if intent.document_type != "payment" or intent.document_id is None:
        raise ValueError(
            f"dispute {notice.provider_id} is about {intent.public_id}, which is no payment"
        )
    if notice.currency.upper() != intent.currency:
        raise ValueError(
            f"dispute {notice.provider_id} is in {notice.currency},"
            f" {intent.public_id} in {intent.currency}"
        )
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        payment = lock_payment(intent.document_id)
        told = _told(payment, notice.provider_id)
        if notice.status in _OPENED | _ENDED and events.PAYMENT_DISPUTE_OPENED.name not in told:
            _open(payment, intent, notice)
            told.add(events.PAYMENT_DISPUTE_OPENED.name)
        if notice.status in _ENDED and not told & {
            events.PAYMENT_DISPUTE_WON.name,
            events.PAYMENT_DISPUTE_LOST.name,
        }:
            _end(payment, intent, notice)


def _open(payment: Payment, intent: Intent, notice: DisputeNotice) -> None:
    book = book_of(intent)
    payment.amount_disputed_minor += notice.amount_minor
    _write(
        payment,
        notice,
        events.PAYMENT_DISPUTE_OPENED,
        debit=book.available if payment.released_at else book.pending,
        credit=book.disputes,
        code=TransferCode.DISPUTE_OPENED,
    )


def _end(payment: Payment, intent: Intent, notice: DisputeNotice) -> None:
    book = book_of(intent)
    assert intent.provider_account_id is not None
    # What ends is what was held at opening, whatever amount the last update names.
    notice = dataclasses.replace(notice, amount_minor=_held_minor(payment, notice.provider_id))
    payment.amount_disputed_minor -= notice.amount_minor
    won = notice.status == "won"
    _write(
        payment,
        notice,
        events.PAYMENT_DISPUTE_WON if won else events.PAYMENT_DISPUTE_LOST,
        debit=book.disputes,
        credit=book.available if won else book.provider_clearing(intent.provider_account_id),
        code=TransferCode.DISPUTE_WON if won else TransferCode.DISPUTE_LOST,
    )


def _write(
    payment: Payment,
    notice: DisputeNotice,
    event: EventSpec,
    *,
    debit: AccountRef,
    credit: AccountRef,
    code: TransferCode,
) -> None:
    writes = Writes()
    record_payment(
        writes,
        payment,
        event,
        actor=PROVIDER,
        amount_minor=notice.amount_minor,
        message=notice.reason,
        data={"dispute": notice.provider_id},
    )
    save_payment(writes, payment, "amount_disputed_minor")
    writes.flush()
    post_or_raise(
        [
            TransferSpec(
                id=uuid.uuid5(payment.id, f"{event.name}/{notice.provider_id}"),
                debit=debit,
                credit=credit,
                amount_minor=notice.amount_minor,
                code=code,
                document_id=payment.id,
            )
        ]
    )


def _held_minor(payment: Payment, dispute: str) -> int:
    opened = PaymentEvent.objects.get(
        payment=payment, type=events.PAYMENT_DISPUTE_OPENED.name, data__dispute=dispute
    )
    return opened.amount_minor or 0


def _told(payment: Payment, dispute: str) -> set[str]:
    """The events that this dispute has already written on the payment."""
    return set(
        PaymentEvent.objects.filter(payment=payment, data__dispute=dispute).values_list(
            "type", flat=True
        )
    )
