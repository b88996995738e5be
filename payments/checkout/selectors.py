"""Reads of checkout sessions; call them inside `tenant_atomic` unless they say otherwise."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from core import ids
from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.errors import InvalidRequest, NotFound
from payments.acceptance.models import Payment
from payments.acceptance.selectors import customer_get
from payments.acceptance.selectors.payments import in_scope
from payments.acceptance.states import PaymentStatus
from payments.checkout.models import CheckoutAttempt, CheckoutSession
from payments.checkout.states import SessionStatus
from payments.providers.registry import provider_spec
from payments.providers.selectors import Account, route

_MAX_SECRET = 64


@dataclass(frozen=True, slots=True)
class Door:
    """Whose session an address opens: found by id and secret together, before any scope."""

    session_id: uuid.UUID
    merchant_id: uuid.UUID
    reseller_id: uuid.UUID
    livemode: bool

    @property
    def scope(self) -> Scope:
        return Scope.merchant(self.merchant_id)

    def payer(self, ip: str | None) -> Actor:
        """The person at the page; holds no permission beyond this session."""
        return Actor(
            kind="payer",
            id=ids.encode(CheckoutSession.PREFIX, self.session_id),
            label="Payer",
            merchant_id=self.merchant_id,
            reseller_id=self.reseller_id,
            livemode=self.livemode,
            ip=ip,
        )


@dataclass(frozen=True, slots=True)
class PayerView:
    """A session with the attempt that counts, as read in one transaction."""

    session: CheckoutSession
    payment: Payment | None
    attempt_key: str = ""


def secret_digest(secret: str) -> bytes:
    """What is kept of the page's secret; 128 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def session_door(*, session_id: str, secret: str) -> Door:
    """Open the door that a page's address names. One statement, in any scope or none.

    Raises:
        NotFound: no such session, or a wrong secret: the answer does not say which.
    """
    key = ids.decode(CheckoutSession.PREFIX, session_id)
    row = None
    if secret and len(secret) <= _MAX_SECRET:
        row = fetch_one(
            "SELECT merchant_id, reseller_id, livemode FROM checkout_session_door(%s, %s)",
            [key, secret_digest(secret)],
        )
    if row is None:
        raise NotFound("There is no such checkout session.")
    return Door(key, *row)


def payer_view(door: Door) -> PayerView:
    """The session behind a door, in a transaction of its own."""
    with tenant_atomic(door.scope):
        return view_of(CheckoutSession.objects.get(pk=door.session_id))


def view_of(session: CheckoutSession) -> PayerView:
    """A session that was read, with the attempt that counts."""
    if session.payment_id is None:
        return PayerView(session, None)
    payment = Payment.objects.get(pk=session.payment_id)
    key = (
        CheckoutAttempt.objects.filter(payment_id=payment.id).values_list("key", flat=True).first()
    )
    return PayerView(session, payment, key or "")


def effective_status(session: CheckoutSession) -> str:
    """The status now: an open session whose time is over is expired before the sweep says so."""
    if session.status == SessionStatus.OPEN and session.expires_at <= timezone.now():
        return SessionStatus.EXPIRED.value
    return str(session.status)


def paid(payment: Payment) -> bool:
    """Whether the payer is done: the money is captured, or held for the merchant to capture."""
    return payment.status == PaymentStatus.COMPLETED or payment.amount_capturable_minor > 0


def payer_status(view: PayerView) -> str:
    """The state of the payer's page.

    open, failed (the last attempt did not work, try again), processing, requires_action, completed,
    expired, or canceled (by the merchant).
    """
    session, payment = view.session, view.payment
    if session.status == SessionStatus.COMPLETE:
        return "completed"
    if session.canceled_at is not None:
        return "canceled"
    if payment is not None and session.status == SessionStatus.PROCESSING:
        if paid(payment):
            return "completed"
        if payment.status == PaymentStatus.REQUIRES_ACTION and payment.next_action_url:
            return "requires_action"
        if payment.status in (PaymentStatus.PROCESSING, PaymentStatus.REQUIRES_ACTION):
            return "processing"
    if session.expires_at <= timezone.now():
        return "expired"
    if payment is not None and payment.status == PaymentStatus.FAILED:
        return "failed"
    # A pending payment has not been charged: its page broke off, and the next submit takes it up.
    return "open"


def takes_cards(session: CheckoutSession) -> bool:
    """Whether this page can turn a card into a token: only the sandbox's vault can be asked so.

    Live cards need the provider's own fields, so that their numbers never reach us. Works in any
    scope or none.
    """
    if session.livemode:
        return False
    try:
        account = route(
            currency=session.currency,
            amount_minor=session.amount_minor,
            merchant_id=session.merchant_id,
            livemode=session.livemode,
        )
    except InvalidRequest:
        return False
    return has_card_fields(account)


def has_card_fields(account: Account) -> bool:
    """Whether our page can take cards for an account: only the sandbox's vault takes numbers."""
    return provider_spec(account.provider).takes_card_numbers


def sessions(
    *, livemode: bool, status: str = "", reference: str = "", customer_id: uuid.UUID | None = None
) -> QuerySet[CheckoutSession]:
    """The sessions of the scope in one mode; a filter left empty does not narrow."""
    rows = in_scope(CheckoutSession.objects.filter(livemode=livemode))
    now = timezone.now()
    if status == SessionStatus.OPEN:
        rows = rows.filter(status=status, expires_at__gt=now)
    elif status == SessionStatus.EXPIRED:
        rows = rows.filter(
            Q(status=status) | Q(status=SessionStatus.OPEN.value, expires_at__lte=now)
        )
    elif status:
        rows = rows.filter(status=status)
    if reference:
        rows = rows.filter(reference=reference)
    if customer_id is not None:
        customer_get(customer_id=customer_id, livemode=livemode, with_deleted=True)
        rows = rows.filter(customer_id=customer_id)
    return rows


def session_get(*, session_id: uuid.UUID, livemode: bool) -> CheckoutSession:
    """One session.

    Raises:
        NotFound: none in this scope and mode.
    """
    found = in_scope(CheckoutSession.objects.filter(pk=session_id, livemode=livemode)).first()
    if found is None:
        raise NotFound("There is no such checkout session.")
    return found


def session_payments(*, session_id: uuid.UUID) -> list[uuid.UUID]:
    """The payments of a session's attempts, oldest first."""
    return list(
        CheckoutAttempt.objects.filter(session_id=session_id)
        .order_by("id")
        .values_list("payment_id", flat=True)
    )
