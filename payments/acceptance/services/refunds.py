"""Refunds: claim the amount, book it as pending, ask the provider, book what it says."""

from __future__ import annotations

import uuid

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import InvalidRequest, NotFound
from core.idempotency import Claim
from core.unit import Writes
from ledger.services import TransferSpec
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment, Refund
from payments.acceptance.selectors import payment_refundable
from payments.acceptance.services.recording import record_refund, save_payment
from payments.acceptance.states import PaymentStateConflict, PaymentStatus
from payments.intents import bookings
from payments.intents.models import Intent, Operation
from payments.intents.services import Draft, intent_submit

DOCUMENT_TYPE = "refund"


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

    The amount is claimed on the payment's row, under its lock, in the transaction that reserves
    the funds: of two refunds at once that together exceed the capture, one is refused.

    Raises:
        PaymentStateConflict: nothing was captured.
        InvalidRequest: more than what is left to refund, which
            what a dispute holds or has taken is not.
    """
    with tenant_atomic(Scope.merchant(merchant_id)):
        payment = _refundable(payment_id, actor)
        assert payment.intent_id is not None
        intent = Intent.objects.get(pk=payment.intent_id)
        wanted = _amount(payment, amount_minor)
    refund = Refund(
        merchant_id=payment.merchant_id,
        reseller_id=payment.reseller_id,
        livemode=payment.livemode,
        payment=payment,
        amount_minor=wanted,
        currency=payment.currency,
        reason=reason,
        metadata=metadata or {},
    )

    def write_document(writes: Writes, attempt: Intent) -> Refund:
        # Read again under the lock that lasts until the claim stands.
        locked = _refundable(payment_id, actor)
        _amount(locked, wanted)
        locked.amount_refunded_minor += wanted
        attempt.document_id = refund.id
        refund.intent_id = attempt.id
        refund.payment = locked
        save_payment(writes, locked, "amount_refunded_minor")
        writes.insert(refund)
        record_refund(writes, refund, locked, "refund.created", actor=actor)
        return refund

    def reserve(attempt: Intent) -> list[TransferSpec]:
        return bookings.refund_reservation(
            attempt, from_available=refund.payment.released_at is not None
        )

    intent_submit(
        draft=Draft(
            merchant_id=payment.merchant_id,
            reseller_id=payment.reseller_id,
            livemode=payment.livemode,
            operation=Operation.REFUND,
            amount_minor=wanted,
            currency=payment.currency,
            source=intent.external_id,
            provider_account_id=intent.provider_account_id,
            document_type=DOCUMENT_TYPE,
            refers_to=intent,
        ),
        actor=actor,
        document=write_document,
        reserve=reserve,
        claim=claim,
    )
    return refund


def _refundable(payment_id: uuid.UUID, actor: Actor) -> Payment:
    payment = lock_payment(payment_id)
    if payment.livemode != actor.livemode:
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
