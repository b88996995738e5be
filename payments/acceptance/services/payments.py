"""Payments: create, confirm, capture, cancel.

From here a payment goes into the saga (`payments.intents.services`) and comes back through
`handlers.PaymentHandler`, whichever process brings the channel's answer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import InvalidRequest, NotFound, PermissionDenied
from core.idempotency import Claim
from core.ids import new_id
from core.rows import new_row
from core.unit import Writes
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment
from payments.acceptance.models import Payment, PaymentMethod
from payments.acceptance.selectors import customer_get, payment_method_get
from payments.acceptance.services.recording import move_payment, record_payment, save_payment
from payments.acceptance.services.sources import check_token
from payments.acceptance.states import PaymentStateConflict, PaymentStatus
from payments.intents.documents import WriteDocument
from payments.intents.models import Intent, Operation
from payments.intents.services import (
    About,
    Draft,
    Price,
    intent_settle,
    intent_submit,
    intent_void,
    intent_withdraw,
    is_withdrawable,
)

DOCUMENT_TYPE = "payment"
#: `Payment.sales_channel` of what a trusted service submitted over `POST /v1/intents`.
SERVICE_CHANNEL = "service"
#: What to do about a payment for which it is too late to be canceled.
_INSTEAD: Final[dict[str, str]] = {
    PaymentStatus.COMPLETED: ": refund it instead.",
    PaymentStatus.PROCESSING: ": the provider is at work on it. Wait for payment.completed or "
    "payment.failed, and refund it when it has completed.",
}


class Seller(Protocol):
    """What a payment needs to know of its merchant (`tenants` reads it with the API key)."""

    @property
    def merchant_id(self) -> uuid.UUID: ...
    @property
    def reseller_id(self) -> uuid.UUID: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def default_currency(self) -> str: ...
    @property
    def fee_bps(self) -> int: ...
    @property
    def fee_fixed_minor(self) -> int: ...
    @property
    def reseller_share_bps(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDraft:
    """A payment as it was asked for. `amount_minor` is in minor units of `currency`."""

    amount_minor: int
    currency: str
    token: str = ""
    customer_id: uuid.UUID | None = None
    payment_method_id: uuid.UUID | None = None
    manual_capture: bool = False
    return_url: str = ""
    description: str = ""
    reference: str = ""
    statement_descriptor: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    sales_channel: str = "api"


def payment_create(
    *,
    draft: PaymentDraft,
    seller: Seller,
    actor: Actor,
    confirm: bool = False,
    claim: Claim | None = None,
    payment_id: uuid.UUID | None = None,
) -> Payment:
    """Create a payment and, with `confirm`, charge it.

    Without `confirm` it is one transaction; with it, what is about to happen is committed before
    the provider hears of it, and the answer afterwards. `claim` is finished with the last commit.

    Raises:
        InvalidRequest: nothing to charge, an unknown customer or method, no route.
        PermissionDenied: live mode for a merchant that is not active.
    """
    check_may_take(seller, actor)
    _require_one_source(draft.token, draft.payment_method_id)
    payment = _build(draft, seller, actor, payment_id)
    scope = Scope.merchant(seller.merchant_id)
    if not confirm:
        with tenant_atomic(scope):
            _check_references(payment, draft, actor)
            writes = Writes()
            writes.insert(payment)
            record_payment(
                writes,
                payment,
                events.PAYMENT_CREATED,
                actor=actor,
                amount_minor=payment.amount_minor,
            )
            if claim is not None:
                claim.finish(writes, payment)
            writes.flush()
        return payment
    method = None
    if draft.customer_id or draft.payment_method_id:
        with tenant_atomic(scope):
            method = _check_references(payment, draft, actor)
    _require_source(payment)

    def write_document(writes: Writes, intent: Intent) -> Payment:
        intent.document_id = payment.id
        payment.intent_id = intent.id
        _open_attempt(writes, payment, actor)
        return payment

    _submit(payment, method, seller, actor, write_document, claim)
    return payment


def payment_of_service(writes: Writes, intent: Intent, actor: Actor) -> None:
    """Open the payment behind an intent that a trusted service submits for a merchant.

    From here on it is a payment like others: it is released, captured, refunded and disputed.
    """
    payment = Payment(
        id=new_id(),
        merchant_id=intent.merchant_id,
        reseller_id=intent.reseller_id,
        livemode=intent.livemode,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
        manual_capture=intent.manual_capture,
        token=intent.source,
        sales_channel=SERVICE_CHANNEL,
        return_url=intent.return_url,
        intent_id=intent.id,
    )
    intent.document_id = payment.id
    _open_attempt(writes, payment, actor)


def payment_confirm(
    *,
    payment_id: uuid.UUID,
    seller: Seller,
    actor: Actor,
    token: str = "",
    payment_method_id: uuid.UUID | None = None,
    return_url: str = "",
    claim: Claim | None = None,
) -> Payment:
    """Charge a payment that was created without `confirm`.

    Raises:
        PaymentStateConflict: the payment is not pending.
        InvalidRequest: there is nothing to charge, or two things; the token was used or is too
            old. The payment stays pending.
        NotFound: no such payment, method or token.
    """
    check_may_take(seller, actor)
    _require_one_source(token, payment_method_id)
    with tenant_atomic(Scope.merchant(seller.merchant_id)):
        payment = _own_payment(payment_id, actor)
        method = None
        wanted = payment_method_id or (None if token else payment.payment_method_id)
        if wanted is not None:
            method = payment_method_get(payment_method_id=wanted, livemode=actor.livemode)
            _check_owner(method, payment.customer_id)
    if payment.status != PaymentStatus.PENDING:
        raise PaymentStateConflict(
            f"Only a pending payment can be confirmed; this one is {payment.status}."
        )
    payment.token = token or ("" if method else payment.token)
    payment.payment_method = method
    payment.return_url = return_url or payment.return_url
    _require_source(payment)
    if method is None:
        check_token(payment)

    def write_document(writes: Writes, intent: Intent) -> Payment:
        intent.document_id = payment.id
        payment.intent_id = intent.id
        move_payment(writes, payment, PaymentStatus.PROCESSING, actor=actor)
        save_payment(
            writes, payment, "status", "intent_id", "token", "payment_method", "return_url"
        )
        return payment

    _submit(payment, method, seller, actor, write_document, claim)
    return payment


def payment_capture(
    *,
    payment_id: uuid.UUID,
    actor: Actor,
    merchant_id: uuid.UUID,
    amount_minor: int | None = None,
    claim: Claim | None = None,
) -> Payment:
    """Capture what was authorised, in full or in part; the remainder is released.

    Raises:
        PaymentStateConflict: nothing is authorised.
        InvalidRequest: more than is authorised.
    """
    payment, intent = _payment_with_intent(payment_id, actor, merchant_id)
    capturable = payment.amount_capturable_minor
    if capturable == 0 or intent is None:
        raise PaymentStateConflict(
            f"There is nothing to capture: the payment is {payment.status}. Only payments made "
            "with capture_method manual wait for a capture."
        )
    wanted = capturable if amount_minor is None else amount_minor
    if wanted > capturable:
        raise InvalidRequest(
            f"Only {capturable} can be captured; {wanted} were asked for.",
            code="amount_too_large",
            param="amount",
        )
    intent_settle(intent=intent, amount_minor=wanted, actor=actor, document=payment, claim=claim)
    return _fresh(payment)


def payment_cancel(
    *, payment_id: uuid.UUID, actor: Actor, merchant_id: uuid.UUID, claim: Claim | None = None
) -> Payment:
    """Cancel a payment that has not been captured; an authorisation is released.

    Raises:
        PaymentStateConflict: the payment is final, or the provider is at work on it.
    """
    payment, intent = _payment_with_intent(payment_id, actor, merchant_id)
    if payment.status == PaymentStatus.PENDING:
        return _cancel_pending(payment.id, actor, merchant_id, claim)
    if intent is not None and is_withdrawable(intent):
        intent_withdraw(intent=intent, actor=actor, document=payment, claim=claim)
        return _fresh(payment)
    waits = payment.status == PaymentStatus.REQUIRES_ACTION or payment.amount_capturable_minor > 0
    if intent is None or not waits:
        instead = _INSTEAD.get(payment.status, ".")
        raise PaymentStateConflict(
            f"A payment that is {payment.status} cannot be canceled{instead}"
        )
    intent_void(intent=intent, actor=actor, document=payment, claim=claim)
    return _fresh(payment)


def check_may_take(seller: Seller, actor: Actor) -> None:
    """Live money needs an active merchant; test mode is open to every key.

    Raises:
        PermissionDenied: the merchant is not active.
    """
    if actor.livemode and not seller.is_active:
        raise PermissionDenied(
            "This merchant cannot take live payments yet. Finish the onboarding, or use a test "
            "key meanwhile.",
            code="merchant_not_active",
        )


def _build(
    draft: PaymentDraft, seller: Seller, actor: Actor, payment_id: uuid.UUID | None
) -> Payment:
    return new_row(
        Payment,
        id=payment_id or new_id(),
        merchant_id=seller.merchant_id,
        reseller_id=seller.reseller_id,
        livemode=actor.livemode,
        amount_minor=draft.amount_minor,
        currency=draft.currency,
        manual_capture=draft.manual_capture,
        customer_id=draft.customer_id,
        payment_method_id=draft.payment_method_id,
        token=draft.token,
        sales_channel=draft.sales_channel,
        description=draft.description,
        reference=draft.reference,
        statement_descriptor=draft.statement_descriptor,
        metadata=draft.metadata,
        return_url=draft.return_url,
    )


def _open_attempt(writes: Writes, payment: Payment, actor: Actor) -> None:
    """Add a new payment whose attempt begins at once."""
    record_payment(
        writes, payment, events.PAYMENT_CREATED, actor=actor, amount_minor=payment.amount_minor
    )
    move_payment(writes, payment, PaymentStatus.PROCESSING, actor=actor)
    writes.insert(payment)


def _check_references(payment: Payment, draft: PaymentDraft, actor: Actor) -> PaymentMethod | None:
    """The saved method to charge; it and the customer must be the merchant's and fit together."""
    method = None
    if draft.payment_method_id is not None:
        method = payment_method_get(
            payment_method_id=draft.payment_method_id, livemode=actor.livemode
        )
        payment.customer_id = draft.customer_id or method.customer_id
    if draft.customer_id is not None:
        customer = customer_get(customer_id=draft.customer_id, livemode=actor.livemode)
        if method is not None:
            _check_owner(method, customer.id)
    return method


def _check_owner(method: PaymentMethod, customer_id: uuid.UUID | None) -> None:
    if customer_id is not None and method.customer_id not in (None, customer_id):
        raise InvalidRequest(
            "The payment method belongs to another customer.",
            code="payment_method_of_other_customer",
            param="payment_method",
        )


def _require_one_source(token: str, payment_method_id: uuid.UUID | None) -> None:
    if token and payment_method_id is not None:
        raise InvalidRequest(
            "Send payment_method_token or payment_method, not both: only one card can be charged.",
            code="payment_method_ambiguous",
            param="payment_method",
        )


def _require_source(payment: Payment) -> None:
    if not payment.token and payment.payment_method_id is None:
        raise InvalidRequest(
            "There is nothing to charge: send payment_method_token (POST /v1/tokens makes one) or "
            "payment_method.",
            code="payment_method_missing",
            param="payment_method_token",
        )


def _submit(
    payment: Payment,
    method: PaymentMethod | None,
    seller: Seller,
    actor: Actor,
    write_document: WriteDocument,
    claim: Claim | None,
) -> None:
    same_currency = payment.currency == seller.default_currency
    intent_submit(
        draft=Draft(
            merchant_id=payment.merchant_id,
            reseller_id=payment.reseller_id,
            livemode=payment.livemode,
            operation=Operation.PAYMENT,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            source=method.provider_method if method else payment.token,
            provider_account_id=method.provider_account_id if method else None,
            document_type=DOCUMENT_TYPE,
            manual_capture=payment.manual_capture,
            return_url=payment.return_url,
            statement_descriptor=payment.statement_descriptor,
            about=_about(payment),
            price=Price(
                fee_bps=seller.fee_bps,
                fee_fixed_minor=seller.fee_fixed_minor if same_currency else 0,
                reseller_share_bps=seller.reseller_share_bps,
            ),
        ),
        actor=actor,
        document=write_document,
        claim=claim,
    )


def _about(payment: Payment) -> About:
    """What is passed on, so that the payment is recognised at the provider's console too."""
    about: About = {}
    if payment.description:
        about["description"] = payment.description
    if payment.metadata:
        about["metadata"] = payment.metadata
    return about


def _own_payment(payment_id: uuid.UUID, actor: Actor) -> Payment:
    payment = lock_payment(payment_id)
    if payment.livemode != actor.livemode:
        raise NotFound("There is no such payment.")
    return payment


def _payment_with_intent(
    payment_id: uuid.UUID, actor: Actor, merchant_id: uuid.UUID
) -> tuple[Payment, Intent | None]:
    with tenant_atomic(Scope.merchant(merchant_id)):
        payment = _own_payment(payment_id, actor)
        intent = Intent.objects.filter(pk=payment.intent_id).first() if payment.intent_id else None
    return payment, intent


def _cancel_pending(
    payment_id: uuid.UUID, actor: Actor, merchant_id: uuid.UUID, claim: Claim | None
) -> Payment:
    with tenant_atomic(Scope.merchant(merchant_id)):
        payment = lock_payment(payment_id)
        writes = Writes()
        move_payment(writes, payment, PaymentStatus.CANCELED, actor=actor)
        save_payment(writes, payment, "status")
        if claim is not None:
            claim.finish(writes, payment)
        writes.flush()
    return payment


def _fresh(payment: Payment) -> Payment:
    """The payment as stored now: a webhook may have overtaken the answer that we committed."""
    with tenant_atomic(Scope.merchant(payment.merchant_id)):
        return Payment.objects.get(pk=payment.pk)
