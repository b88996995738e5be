"""Checkout sessions as JSON: for the merchant's API and events, and for the payer's page."""

from __future__ import annotations

import uuid
from typing import Any

from core import ids
from core.money import format_money
from core.times import iso
from payments.acceptance.models import Payment
from payments.acceptance.states import PaymentStatus
from payments.checkout.models import CheckoutSession
from payments.checkout.selectors import PayerView, effective_status, payer_status

#: The page's field that a decline speaks of; the others concern the card as a whole.
_FIELD_OF_DECLINE = {
    "incorrect_cvc": "cvc",
    "invalid_cvc": "cvc",
    "expired_card": "exp_month",
    "incorrect_number": "number",
    "invalid_number": "number",
}
_BRANDS = {"amex": "American Express", "jcb": "JCB", "unionpay": "UnionPay"}


def session_json(session: CheckoutSession, *, url: str = "") -> dict[str, Any]:
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
        "payment": _ref("pay", session.payment_id),
        "customer": _ref("cus", session.customer_id),
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


def payer_json(view: PayerView) -> dict[str, Any]:
    """What the payer's page may know: the state, and what to do next. No id but the receipt's."""
    status = payer_status(view)
    answer: dict[str, Any] = {"status": status, "attempt": view.attempt_key or None}
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
        answer["return_url"] = view.session.success_url or None
        answer["receipt"] = receipt(view.session, payment)
    return answer


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


def _ref(prefix: str, value: uuid.UUID | None) -> str | None:
    return None if value is None else ids.encode(prefix, value)
