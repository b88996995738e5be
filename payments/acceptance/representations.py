"""Payments, refunds and customers as JSON: the same in answers, events and the portal's live page.

Amounts are integers in minor units of the `currency` beside them.
"""

from __future__ import annotations

import uuid
from typing import Any

from core import ids
from core.times import iso
from payments.acceptance.models import Customer, Payment, PaymentEvent, PaymentMethod, Refund


def _ref(prefix: str, value: uuid.UUID | None) -> str | None:
    return None if value is None else ids.encode(prefix, value)


def payment_json(payment: Payment) -> dict[str, Any]:
    """A payment as the API shows it."""
    action = payment.next_action_url
    return {
        "id": payment.public_id,
        "object": "payment",
        "merchant": ids.encode("mer", payment.merchant_id),
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status,
        "capture_method": "manual" if payment.manual_capture else "automatic",
        "amount_capturable": payment.amount_capturable_minor,
        "amount_captured": payment.amount_captured_minor,
        "amount_refunded": payment.amount_refunded_minor,
        "amount_disputed": payment.amount_disputed_minor,
        "fee": payment.fee_minor,
        "net": payment.amount_captured_minor - payment.fee_minor,
        "customer": _ref("cus", payment.customer_id),
        "payment_method": _ref("pm", payment.payment_method_id),
        "card": card_json(payment.card),
        "channel": payment.channel,
        "description": payment.description or None,
        "reference": payment.reference or None,
        "statement_descriptor": payment.statement_descriptor or None,
        "metadata": payment.metadata,
        "return_url": payment.return_url or None,
        "next_action": {"type": "redirect", "url": action} if action else None,
        "failure": (
            {"code": payment.failure_code, "message": payment.failure_message}
            if payment.failure_code
            else None
        ),
        "livemode": payment.livemode,
        "created_at": iso(payment.created_at),
        "updated_at": iso(payment.updated_at),
        "completed_at": iso(payment.completed_at),
        "available_at": iso(payment.available_at),
    }


def card_json(card: dict[str, Any]) -> dict[str, Any] | None:
    """What may be shown of a card: never its number."""
    if not card:
        return None
    return {
        "brand": card.get("brand"),
        "last4": card.get("last4"),
        "exp_month": card.get("exp_month"),
        "exp_year": card.get("exp_year"),
        "funding": card.get("funding"),
    }


def refund_json(refund: Refund) -> dict[str, Any]:
    """A refund as the API shows it."""
    return {
        "id": refund.public_id,
        "object": "refund",
        "payment": ids.encode("pay", refund.payment_id),
        "amount": refund.amount_minor,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason or None,
        "failure": (
            {"code": refund.failure_code, "message": refund.failure_message}
            if refund.failure_code
            else None
        ),
        "metadata": refund.metadata,
        "livemode": refund.livemode,
        "created_at": iso(refund.created_at),
        "updated_at": iso(refund.updated_at),
    }


def customer_json(customer: Customer) -> dict[str, Any]:
    """A customer as the API shows it."""
    return {
        "id": customer.public_id,
        "object": "customer",
        "email": customer.email or None,
        "name": customer.name or None,
        "reference": customer.reference or None,
        "metadata": customer.metadata,
        "livemode": customer.livemode,
        "created_at": iso(customer.created_at),
    }


def payment_method_json(method: PaymentMethod) -> dict[str, Any]:
    """A saved method as the API shows it."""
    return {
        "id": method.public_id,
        "object": "payment_method",
        "customer": _ref("cus", method.customer_id),
        "card": {
            "brand": method.brand,
            "last4": method.last4,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
        },
        "livemode": method.livemode,
        "created_at": iso(method.created_at),
    }


def event_json(event: PaymentEvent) -> dict[str, Any]:
    """A line of a payment's history."""
    return {
        "id": event.public_id,
        "type": event.type,
        "status": event.status,
        "amount": event.amount_minor,
        "actor": {"kind": event.actor_kind, "label": event.actor_label},
        "message": event.message or None,
        "created_at": iso(event.created_at),
    }
