"""Checkout sessions: for the merchant's API and events, and for the payer's page; minor units."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired, TypedDict

from core import ids
from core.money import format_money
from core.shapes import (
    Amount,
    CaptureMethod,
    Currency,
    Metadata,
    PageOf,
    Time,
    an_id,
    example_id,
    one_of,
    shown,
)
from core.times import iso
from payments.acceptance.models import Payment
from payments.acceptance.states import PaymentStatus
from payments.checkout.models import CheckoutSession
from payments.checkout.selectors import PayerView, effective_status, payer_status
from payments.checkout.states import SessionStatus
from payments.intents.shapes import NextActionOut

#: The page's field that a decline is about; other declines concern the card as a whole.
#: What a shop writes into its addresses where the session's id belongs.
SESSION_ID_PLACE: Final = "{CHECKOUT_SESSION_ID}"

_FIELD_OF_DECLINE = {
    "incorrect_cvc": "cvc",
    "invalid_cvc": "cvc",
    "expired_card": "exp_month",
    "incorrect_number": "number",
    "invalid_number": "number",
}
_BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay"}


class SessionOut(TypedDict):
    """A checkout: a page that takes one payment."""

    id: Annotated[str, an_id("cs")]
    object: Literal["checkout_session"]
    merchant: Annotated[str, an_id("mer")]
    url: Annotated[
        str | None,
        shown(
            "The payer's page. Only in the answer that creates the session (and its "
            "repetitions under the same Idempotency-Key): it holds a secret of which only a "
            "digest is kept.",
        ),
    ]
    status: Annotated[
        str,
        one_of(
            SessionStatus.values,
            "open → processing → complete; back to open after a decline; expired after "
            "24 hours or by request.",
            example="open",
        ),
    ]
    amount: Amount
    currency: Currency
    capture_method: CaptureMethod
    payment: Annotated[str | None, shown("The attempt that counts.")]
    customer: str | None
    description: Annotated[str | None, shown(example="Two tickets")]
    reference: Annotated[str | None, shown(example="order-1042")]
    statement_descriptor: str | None
    metadata: Metadata
    success_url: Annotated[str | None, shown(example="https://shop.example/thanks")]
    cancel_url: Annotated[str | None, shown(example="https://shop.example/cart")]
    livemode: bool
    created_at: Time
    expires_at: Annotated[Time, shown(example="2026-11-22T09:30:00.000Z")]
    completed_at: Annotated[Time | None, shown(example=None)]
    canceled_at: Annotated[Time | None, shown(example=None)]
    payments: NotRequired[
        Annotated[
            list[str],
            shown(
                "Every attempt, oldest first; when one session is retrieved.",
                example=[example_id("pay")],
            ),
        ]
    ]


class SessionPage(PageOf):
    items: list[SessionOut]


class PayerErrorOut(TypedDict):
    """Why a try did not work, and the page's field that it concerns."""

    code: str
    message: str
    param: str | None


class PayerOut(TypedDict):
    """What the payer's page may know: the state, and what to do next. No id but the receipt's."""

    status: str
    attempt: str | None
    next_action: NotRequired[NextActionOut]
    error: NotRequired[PayerErrorOut]
    return_url: NotRequired[str | None]
    receipt: NotRequired[dict[str, str]]


def session_out(session: CheckoutSession, *, url: str = "") -> SessionOut:
    """A session as the API shows it; `url` is known only in the answer that creates it."""
    return {
        "id": session.public_id,
        "object": "checkout_session",
        "merchant": ids.encode("mer", session.merchant_id),
        "url": url or None,
        "status": effective_status(session),
        "amount": session.amount_minor,
        "currency": session.currency,
        "capture_method": "manual" if session.manual_capture else "automatic",
        "payment": ids.encode_or_none("pay", session.payment_id),
        "customer": ids.encode_or_none("cus", session.customer_id),
        "description": session.description or None,
        "reference": session.reference or None,
        "statement_descriptor": session.statement_descriptor or None,
        "metadata": session.metadata,
        "success_url": session.success_url or None,
        "cancel_url": session.cancel_url or None,
        "livemode": session.livemode,
        "created_at": iso(session.created_at),
        "expires_at": iso(session.expires_at),
        "completed_at": iso(session.completed_at),
        "canceled_at": iso(session.canceled_at),
    }


def payer_out(view: PayerView) -> PayerOut:
    """The state of a checkout for the payer's page."""
    status = payer_status(view)
    answer: PayerOut = {"status": status, "attempt": view.attempt_key or None}
    payment = view.payment
    if status == "requires_action" and payment is not None:
        answer["next_action"] = {"type": "redirect", "url": payment.next_action_url}
    if status == "failed" and payment is not None:
        code = payment.failure_code or "card_declined"
        answer["error"] = {
            "code": code,
            "message": decline_message(payment),
            "param": _FIELD_OF_DECLINE.get(code),
        }
    if status == "completed" and payment is not None:
        answer["return_url"] = way_back(view.session, view.session.success_url) or None
        answer["receipt"] = receipt(view.session, payment)
    return answer


def way_back(session: CheckoutSession, address: str) -> str:
    """Where the payer is sent: the shop's address with the session's id in its place."""
    return address.replace(SESSION_ID_PLACE, session.public_id)


def decline_message(payment: Payment) -> str:
    """Why it did not work, and that nothing was charged: it must stand there in words."""
    reason = (payment.failure_message or "Your card was declined.").strip()
    return f"{reason} Nothing was charged."


def receipt(session: CheckoutSession, payment: Payment) -> dict[str, str]:
    """The lines of the receipt, as texts; an empty one is not shown."""
    paid_at = payment.completed_at or session.completed_at
    return {
        "amount": format_money(payment.amount_minor, payment.currency),
        "card": _card_text(payment),
        "reference": session.reference,
        "payment": payment.public_id,
        "paid_at": f"{paid_at.day} {paid_at:%B %Y, %H:%M} UTC" if paid_at else "",
        "verb": "received" if payment.status == PaymentStatus.COMPLETED else "reserved",
    }


def _card_text(payment: Payment) -> str:
    if not payment.last4:
        return ""
    brand = str(payment.card.get("brand", ""))
    return f"{_BRANDS.get(brand, brand.capitalize())} ending in {payment.last4}".strip()
