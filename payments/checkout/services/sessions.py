"""Every write on checkout sessions.

    session_create, session_expire     the merchant's
    session_pay, session_give_up       the payer's: start the one attempt, or leave its challenge
    session_refresh                    ask the provider what became of the attempt
    session_follow                     take over what the payment says (the relay calls it too)

The session is locked while an attempt is created, so two tabs that pay at once make one payment;
the charge itself happens outside, in the saga.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from core import ids
from core.context import Actor
from core.crashpoints import crash_point
from core.db import Scope, tenant_atomic
from core.errors import AppError, Conflict, RateLimited
from core.ratelimit import Rate, check_rate
from core.sweep import due_batches
from core.unit import StaleState, Writes
from payments.acceptance.models import Payment
from payments.acceptance.selectors import customer_get
from payments.acceptance.services import (
    PaymentDraft,
    Seller,
    payment_cancel,
    payment_confirm,
    payment_create,
)
from payments.acceptance.services.payments import check_may_take
from payments.acceptance.states import PaymentStateConflict, PaymentStatus
from payments.checkout.lock_objects import lock_session
from payments.checkout.models import CheckoutAttempt, CheckoutSession
from payments.checkout.selectors import (
    Door,
    PayerView,
    effective_status,
    has_card_fields,
    paid,
    payer_status,
    payer_view,
    secret_digest,
    takes_cards,
    view_of,
)
from payments.checkout.services.recording import move_session, record_session
from payments.checkout.states import SessionStateConflict, SessionStatus
from payments.intents.channels import Outcome, channel_named
from payments.intents.models import Intent
from payments.intents.services import intent_apply
from payments.intents.states import IllegalMove
from payments.providers.adapters.sandbox.vault import CardInput, Token, tokenize
from payments.providers.amounts import check_charge
from payments.providers.base import ProviderError
from payments.providers.selectors import returned_url, route

log = structlog.get_logger(__name__)

CHANNEL: Final = "checkout"
#: A payer who tries more cards than this on one page is testing them, not paying.
MAX_ATTEMPTS: Final = 12
#: How often one page makes us ask its provider.
_ASK_RATE: Final = Rate(limit=30, period_s=60)
_SWEEPER: Final = Actor.system("checkout-sweeper")


class CardEntryUnavailable(Conflict):
    """Our page cannot take this card: cards of real providers need the provider's own fields."""

    default_code = "card_fields_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDraft:
    """A session as it was asked for. `amount_minor` is in minor units of `currency`."""

    amount_minor: int
    currency: str
    customer_id: uuid.UUID | None = None
    manual_capture: bool = False
    description: str = ""
    reference: str = ""
    statement_descriptor: str = ""
    success_url: str = ""
    cancel_url: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


def session_create(
    *, draft: SessionDraft, seller: Seller, actor: Actor
) -> tuple[CheckoutSession, str]:
    """Make a session; returns it with the secret of its page, which is not kept.

    Runs inside the caller's `tenant_atomic`.

    Raises:
        NotFound: no such customer. InvalidRequest: no provider takes this amount and currency.
        CardEntryUnavailable: the page has no card fields of the provider, so no one could pay.
        PermissionDenied: live mode for a merchant that is not active.
    """
    check_may_take(seller, actor)
    if draft.customer_id is not None:
        customer_get(customer_id=draft.customer_id, livemode=actor.livemode)
    account = route(
        currency=draft.currency,
        amount_minor=draft.amount_minor,
        merchant_id=seller.merchant_id,
        livemode=actor.livemode,
    )
    check_charge(account.provider, draft.amount_minor, draft.currency)
    if not has_card_fields(account):
        raise CardEntryUnavailable(
            f"A checkout page has no card fields of {account.provider.capitalize()} yet, so the "
            "payer could not pay. Take the card with the provider's own fields and charge its "
            "token with POST /v1/payments, or use a test key whose payments go to the sandbox."
        )
    secret = secrets.token_urlsafe(16)
    session = CheckoutSession(
        merchant_id=seller.merchant_id,
        reseller_id=seller.reseller_id,
        livemode=actor.livemode,
        amount_minor=draft.amount_minor,
        currency=draft.currency,
        manual_capture=draft.manual_capture,
        customer_id=draft.customer_id,
        description=draft.description,
        reference=draft.reference,
        statement_descriptor=draft.statement_descriptor,
        metadata=draft.metadata,
        success_url=draft.success_url,
        cancel_url=draft.cancel_url,
        return_origin=_origin(draft.success_url),
        secret_digest=secret_digest(secret),
    )
    writes = Writes()
    writes.insert(session)
    record_session(writes, session, "checkout_session.created", event=None, actor=actor)
    writes.flush()
    return session, secret


def session_expire(*, session_id: uuid.UUID, actor: Actor) -> CheckoutSession:
    """Close a session that has no attempt under way. Runs inside the caller's scope.

    Raises:
        SessionStateConflict: an attempt is under way, or the session is over.
    """
    session = lock_session(session_id)
    if effective_status(session) != SessionStatus.OPEN:
        raise SessionStateConflict(
            f"Only an open checkout session can be expired; this one is "
            f"{effective_status(session)}."
            + (
                " A payment is under way: wait for its end."
                if session.status == SessionStatus.PROCESSING
                else ""
            )
        )
    writes = Writes()
    session.canceled_at = timezone.now()
    move_session(writes, session, SessionStatus.EXPIRED, actor=actor)
    writes.flush()
    return session


def session_tokenise(*, door: Door, card: CardInput) -> Token:
    """Exchange the payer's card for a token of the merchant's; the number goes to the vault alone.

    Raises:
        CardEntryUnavailable: this session's provider has card fields of its own.
        SessionStateConflict: the session can no longer be paid.
        InvalidRequest: the card is at fault; `param` names the field.
    """
    view = payer_view(door)
    if not takes_cards(view.session):
        raise _unavailable()
    status = payer_status(view)
    if status in ("completed", "expired", "canceled"):
        raise SessionStateConflict(f"This page takes no card any more: it is {status}.")
    return tokenize(card=card, merchant_key=ids.encode("mer", door.merchant_id))


def session_pay(*, door: Door, seller: Seller, actor: Actor, token: str, key: str) -> PayerView:
    """Pay a session with a token; `key` is the page's own, minted for one submit.

    While an attempt is alive nothing new is charged: the caller gets that attempt's state, as does
    a repetition of the same key. The amount is the session's.

    Raises:
        CardEntryUnavailable: this session takes no tokens of ours.
        RateLimited: more attempts than a payer makes.
        InvalidRequest: the token cannot be charged; the session stays open.
    """
    payment = _begin_attempt(door=door, seller=seller, actor=actor, key=key)
    if payment is None:
        return session_follow(session_id=door.session_id, scope=door.scope, actor=actor)
    crash_point("checkout.attempt_made")
    try:
        payment_confirm(payment_id=payment.id, seller=seller, actor=actor, token=token)
    except (StaleState, PaymentStateConflict):
        log.info("checkout.attempt_taken_up_elsewhere", payment_id=payment.public_id)
    except AppError:
        # Nothing was asked of the provider. A payment that can never be charged must not keep the
        # session busy, and the payer hears what is wrong.
        _drop_pending(payment, actor=actor)
        session_follow(session_id=door.session_id, scope=door.scope, actor=actor)
        raise
    return session_follow(session_id=door.session_id, scope=door.scope, actor=actor)


def session_give_up(*, door: Door, actor: Actor) -> PayerView:
    """The payer left the bank's challenge: cancel the attempt, so that another one can begin.

    An attempt that has already gone further is kept, and the answer shows it.
    """
    view = payer_view(door)
    payment = view.payment
    if payment is not None and payer_status(view) == "requires_action":
        try:
            payment_cancel(payment_id=payment.id, actor=actor, merchant_id=door.merchant_id)
        except (Conflict, IllegalMove) as error:
            log.info("checkout.give_up_refused", payment_id=payment.public_id, reason=error.code)
            return session_refresh(door=door, actor=actor)
    return session_follow(session_id=door.session_id, scope=door.scope, actor=actor)


def session_refresh(*, door: Door, actor: Actor) -> PayerView:
    """The session's state, after asking the provider about an attempt that waits for an answer."""
    view = payer_view(door)
    payment = view.payment
    waits = payer_status(view) in ("processing", "requires_action")
    asked = (
        payment is not None
        and waits
        and check_rate(key=view.session.public_id, endpoint="checkout.ask", rate=_ASK_RATE).allowed
    )
    if asked and payment is not None:
        _ask_provider(payment, door.scope)
    return session_follow(session_id=door.session_id, scope=door.scope, actor=actor)


def session_follow(*, session_id: uuid.UUID, scope: Scope, actor: Actor) -> PayerView:
    """Move a session to where its payment has gone. Harmless to repeat."""
    with tenant_atomic(scope):
        view = view_of(CheckoutSession.objects.get(pk=session_id))
        if not _must_follow(view):
            return view
        view = view_of(lock_session(session_id))
        if not _must_follow(view):
            # The page and the relay saw the end together, and the other one was first.
            return view
        writes = Writes()
        if view.payment is not None:
            _follow(writes, view.session, view.payment, actor=actor)
        writes.flush()
        return view


def _must_follow(view: PayerView) -> bool:
    """Whether the payment has ended and the session does not know it yet."""
    return view.session.status == SessionStatus.PROCESSING and _end_of(view.payment) is not None


def session_of_payment(*, payment_id: uuid.UUID) -> uuid.UUID | None:
    """The session that a payment is an attempt of; asked by the relay, under the worker's scope."""
    with tenant_atomic(Scope.worker()):
        return (
            CheckoutAttempt.objects.filter(payment_id=payment_id)
            .values_list("session_id", flat=True)
            .first()
        )


def expire_due(*, batch: int = 500) -> int:
    """Sweep: expire every open session whose time is over; returns how many."""
    expired = 0
    for due in due_batches(_due, by="expires_at", batch=batch):
        for session_id, merchant_id in due:
            try:
                expired += _expire_one(session_id, Scope.merchant(merchant_id))
            except AppError as error:
                log.error("checkout.not_expired", session_id=str(session_id), error=error.message)
    return expired


def _due() -> QuerySet[CheckoutSession]:
    return CheckoutSession.objects.filter(
        status__in=[SessionStatus.OPEN, SessionStatus.PROCESSING], expires_at__lte=timezone.now()
    )


def _expire_one(session_id: uuid.UUID, scope: Scope) -> bool:
    with tenant_atomic(scope):
        view = view_of(CheckoutSession.objects.get(pk=session_id))
    if view.payment is not None and view.payment.status == PaymentStatus.PENDING:
        _drop_pending(view.payment, actor=_SWEEPER)
    session_follow(session_id=session_id, scope=scope, actor=_SWEEPER)
    with tenant_atomic(scope):
        session = lock_session(session_id)
        if session.status != SessionStatus.OPEN or session.expires_at > timezone.now():
            return False
        writes = Writes()
        move_session(writes, session, SessionStatus.EXPIRED, actor=_SWEEPER)
        writes.flush()
    return True


def _begin_attempt(*, door: Door, seller: Seller, actor: Actor, key: str) -> Payment | None:
    """The payment to charge: a new one, or one that a broken submit left behind; None to wait."""
    with tenant_atomic(door.scope):
        session = lock_session(door.session_id)
        if not takes_cards(session):
            raise _unavailable()
        view = view_of(session)
        writes = Writes()
        if view.payment is not None:
            _follow(writes, session, view.payment, actor=actor)
            writes.flush()
        tries = list(session.attempts.values_list("key", flat=True))
        if session.status == SessionStatus.PROCESSING and view.payment is not None:
            return view.payment if view.payment.status == PaymentStatus.PENDING else None
        if key in tries or effective_status(session) != SessionStatus.OPEN:
            return None
        if len(tries) >= MAX_ATTEMPTS:
            raise RateLimited(
                "Too many cards were tried on this page. Ask the shop for a new payment link.",
                code="too_many_attempts",
                retry_after_s=3600,
            )
        return _new_attempt(session, seller=seller, actor=actor, key=key)


def _new_attempt(session: CheckoutSession, *, seller: Seller, actor: Actor, key: str) -> Payment:
    payment = payment_create(
        draft=PaymentDraft(
            amount_minor=session.amount_minor,
            currency=session.currency,
            customer_id=session.customer_id,
            manual_capture=session.manual_capture,
            description=session.description,
            reference=session.reference,
            statement_descriptor=session.statement_descriptor,
            metadata=session.metadata,
            # Inside its frame, this page tells the one around it to ask us.
            return_url=returned_url(),
            sales_channel=CHANNEL,
        ),
        seller=seller,
        actor=actor,
    )
    writes = Writes()
    writes.insert(
        CheckoutAttempt(
            merchant_id=session.merchant_id,
            reseller_id=session.reseller_id,
            livemode=session.livemode,
            session=session,
            payment=payment,
            key=key,
        )
    )
    session.payment = payment
    move_session(writes, session, SessionStatus.PROCESSING, actor=actor)
    writes.flush()
    return payment


def _drop_pending(payment: Payment, *, actor: Actor) -> None:
    """Give up an attempt that never reached the provider; one that did meanwhile is kept."""
    with tenant_atomic(Scope.merchant(payment.merchant_id)):
        if Payment.objects.get(pk=payment.pk).status != PaymentStatus.PENDING:
            return
    try:
        payment_cancel(payment_id=payment.id, actor=actor, merchant_id=payment.merchant_id)
    except Conflict:
        log.info("checkout.attempt_went_on", payment_id=payment.public_id)


def _ask_provider(payment: Payment, scope: Scope) -> None:
    """Ask what became of an attempt; only a definite answer is taken, the rest is the poller's."""
    if payment.intent_id is None:
        return
    with tenant_atomic(scope):
        intent = Intent.objects.filter(pk=payment.intent_id).first()
    if intent is None or not intent.external_id:
        return
    try:
        answer = channel_named(intent.channel).query(intent)
    except ProviderError as error:
        log.warning("checkout.provider_silent", intent_id=intent.public_id, code=error.code)
        return
    definite = answer.canceled or answer.outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
    moved_on = answer.outcome is Outcome.PENDING and bool(intent.next_action_url)
    if answer.found and (definite or moved_on):
        intent_apply(intent=intent, answer=answer, actor=Actor.system("checkout"))


def _end_of(payment: Payment | None) -> SessionStatus | None:
    """Where a payment leads its session, or None while it is on its way."""
    if payment is None:
        return None
    if paid(payment):
        return SessionStatus.COMPLETE
    if payment.status in (PaymentStatus.FAILED, PaymentStatus.CANCELED):
        return SessionStatus.OPEN
    return None


def _follow(writes: Writes, session: CheckoutSession, payment: Payment, *, actor: Actor) -> None:
    end = _end_of(payment)
    if session.status != SessionStatus.PROCESSING or end is None:
        return
    if end is SessionStatus.COMPLETE:
        session.completed_at = payment.completed_at or timezone.now()
    move_session(writes, session, end, actor=actor)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"[:270] if url else ""


def _unavailable() -> CardEntryUnavailable:
    return CardEntryUnavailable(
        "Card payments are not available on this page yet. Nothing was charged; ask the shop for "
        "another way to pay."
    )
