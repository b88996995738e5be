"""Refunds: set the amount aside, book it as pending, ask the provider, book what it says."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Final

from django.utils import timezone

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import InvalidRequest, NotFound
from core.idempotency import Claim
from core.unit import Writes
from ledger.services import LedgerRefused, TransferSpec
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment, Refund
from payments.acceptance.selectors import payment_refundable
from payments.acceptance.services.recording import PROVIDER, record_refund, save_payment
from payments.acceptance.states import PaymentStateConflict, PaymentStatus
from payments.intents import bookings
from payments.intents.channels.gateway_refund import from_refund
from payments.intents.models import Intent, Operation
from payments.intents.services import Draft, intent_adopt, intent_submit
from payments.intents.services.exceptions import exception_add
from payments.providers.base import RefundAnswer, RefundTotal

DOCUMENT_TYPE = "refund"
#: The reason of a refund that the provider reported to us.
MADE_AT_PROVIDER = "refunded at the provider"
#: How long after a refund at the provider its own event may take.
REFUND_NEWS_WITHIN: Final = dt.timedelta(minutes=10)


def refund_create(
    *,
    payment_id: uuid.UUID,
    merchant_id: uuid.UUID,
    actor: Actor,
    amount_minor: int | None = None,
    reason: str = "",
    metadata: dict[str, str] | None = None,
    claim: Claim | None = None,
) -> Refund:
    """Send money back to the payer: all that is left, or `amount_minor` of it.

    The amount is set aside on the payment's row, under its lock, in the transaction that reserves
    the funds: of two refunds at once that together exceed the capture, one is refused.

    Raises:
        PaymentStateConflict: nothing was captured.
        InvalidRequest: more than what is left to refund, which
            what a dispute holds or has taken is not.
    """
    with tenant_atomic(Scope.merchant(merchant_id)):
        payment = _refundable(payment_id, actor.livemode)
        assert payment.intent_id is not None
        intent = Intent.objects.get(pk=payment.intent_id)
        wanted = _amount(payment, amount_minor)
    refund = _new_refund(payment, wanted, reason=reason, metadata=metadata)

    def write_document(writes: Writes, attempt: Intent) -> Refund:
        _set_aside(writes, refund, attempt, livemode=actor.livemode, actor=actor)
        return refund

    intent_submit(
        draft=_draft(refund, intent),
        actor=actor,
        document=write_document,
        reserve=_reservation_of(refund),
        claim=claim,
    )
    return refund


class _KnownError(Exception):
    """Another event about the same refund was first."""


def refund_of_provider(intent: Intent, answer: RefundAnswer, actor: Actor) -> bool:
    """Book a refund that was made at the provider, past us, as a refund like others.

    `intent` is the payment's. What cannot be booked (more than is left, another currency) puts the
    payment into the exceptions inbox, which also keeps its net from becoming available. False while
    the payment is not completed here: the event comes again.
    """
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        payment = lock_payment(intent.document_id) if intent.document_id else None
    if payment is None or payment.status != PaymentStatus.COMPLETED:
        return False
    try:
        if answer.currency != payment.currency:
            raise InvalidRequest(f"It is in {answer.currency}.")
        _adopt(payment, intent, answer, actor)
    except _KnownError:
        return False
    except (InvalidRequest, LedgerRefused) as refused:
        exception_add(
            intent_id=intent.id,
            code="refunded_at_provider",
            message=f"The provider refunded {answer.amount_minor} {answer.currency}"
            f" ({answer.provider_id}) without being asked by us, and it could not be booked:"
            f" {refused.message}",
            actor=actor,
        )
    return True


def refund_total_of_provider(intent: Intent, total: RefundTotal, occurred_at: dt.datetime) -> bool:
    """See that what the provider has refunded of a payment in all has been booked here.

    Each refund is booked by an event of its own. Where that does not come, the payment goes into
    the exceptions inbox, which keeps its net from becoming available. False: look again later.
    """
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        payment = lock_payment(intent.document_id) if intent.document_id else None
    if payment is None or payment.status != PaymentStatus.COMPLETED:
        return False
    ours = total.currency == payment.currency
    if ours and payment.amount_refunded_minor >= total.amount_minor:
        return True
    if timezone.now() - occurred_at < REFUND_NEWS_WITHIN:
        return False
    exception_add(
        intent_id=intent.id,
        code="refunded_at_provider",
        message=f"The provider has refunded {total.amount_minor} {total.currency} in all, of which"
        f" {payment.amount_refunded_minor} {payment.currency} reached us. Find the missing refund"
        " at the provider's console and book it as a correction.",
        actor=PROVIDER,
    )
    return True


def _adopt(payment: Payment, intent: Intent, answer: RefundAnswer, actor: Actor) -> None:
    refund = _new_refund(payment, answer.amount_minor, reason=MADE_AT_PROVIDER)

    def write_document(writes: Writes, attempt: Intent) -> Refund:
        _set_aside(writes, refund, attempt, livemode=payment.livemode, actor=actor)
        # Asked under the payment's lock: of two events about one refund, one books it.
        if Intent.objects.filter(
            provider_account_id=attempt.provider_account_id, external_id=answer.provider_id
        ).exists():
            raise _KnownError
        return refund

    intent_adopt(
        draft=_draft(refund, intent),
        external_id=answer.provider_id,
        answer=from_refund(answer, answer.amount_minor),
        actor=actor,
        document=write_document,
        reserve=_reservation_of(refund),
    )


def _new_refund(
    payment: Payment, amount_minor: int, *, reason: str, metadata: dict[str, str] | None = None
) -> Refund:
    return Refund(
        merchant_id=payment.merchant_id,
        reseller_id=payment.reseller_id,
        livemode=payment.livemode,
        payment=payment,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=reason,
        metadata=metadata or {},
    )


def _set_aside(
    writes: Writes, refund: Refund, attempt: Intent, *, livemode: bool, actor: Actor
) -> None:
    """Set the amount aside on the payment, read again under the lock that lasts until then."""
    locked = _refundable(refund.payment_id, livemode)
    _amount(locked, refund.amount_minor)
    locked.amount_refunded_minor += refund.amount_minor
    attempt.document_id = refund.id
    refund.intent_id = attempt.id
    refund.payment = locked
    save_payment(writes, locked, "amount_refunded_minor")
    writes.insert(refund)
    record_refund(writes, refund, locked, events.REFUND_CREATED, actor=actor)


def _reservation_of(refund: Refund) -> Callable[[Intent], list[TransferSpec]]:
    return lambda attempt: bookings.refund_reservation(
        attempt, from_available=refund.payment.released_at is not None
    )


def _draft(refund: Refund, intent: Intent) -> Draft:
    """`intent` is the payment's: the refund goes back the way that the payment came."""
    return Draft(
        merchant_id=refund.merchant_id,
        reseller_id=refund.reseller_id,
        livemode=refund.livemode,
        operation=Operation.REFUND,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        source=intent.external_id,
        provider_account_id=intent.provider_account_id,
        document_type=DOCUMENT_TYPE,
        refers_to=intent,
        about={"reason": refund.reason} if refund.reason else {},
    )


def _refundable(payment_id: uuid.UUID, livemode: bool) -> Payment:
    payment = lock_payment(payment_id)
    if payment.livemode != livemode:
        raise NotFound("There is no such payment.")
    if payment.status != PaymentStatus.COMPLETED:
        raise PaymentStateConflict(
            f"Only a completed payment can be refunded; this one is {payment.status}"
            + (": cancel it instead." if payment.amount_capturable_minor else ".")
        )
    return payment


def _amount(payment: Payment, amount_minor: int | None) -> int:
    refundable = payment_refundable(payment)
    left, held_minor = refundable.left_minor, refundable.held_minor
    wanted = left if amount_minor is None else amount_minor
    if held_minor and (left == 0 or wanted > left):
        raise InvalidRequest(
            f"{held_minor} of this payment is disputed, or was lost to a dispute; only {left} can "
            "be refunded. An open dispute is settled by accepting it at the provider.",
            code="payment_disputed",
            param="payment" if left == 0 else "amount",
        )
    if left == 0:
        raise InvalidRequest(
            "This payment has been refunded in full.", code="already_refunded", param="payment"
        )
    if wanted > left:
        raise InvalidRequest(
            f"Only {left} of this payment can still be refunded; {wanted} were asked for.",
            code="amount_too_large",
            param="amount",
        )
    return wanted
