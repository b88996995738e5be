"""The objects that the examples are made of, as the API answers with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

ID: Final = "01kah8q3v5e0trz5b2m8x1c9dn"
AT: Final = "2026-11-21T09:30:00.000Z"
LATER: Final = "2026-11-21T09:30:02.140Z"
CARD: Final = {
    "brand": "visa",
    "last4": "4242",
    "exp_month": 12,
    "exp_year": 2034,
    "funding": "credit",
}


@dataclass(frozen=True, slots=True)
class Example:
    """What an operation is sent and what it answers (without the envelope)."""

    title: str
    request: dict[str, Any] | None = None
    response: Any = None


def public_id(prefix: str) -> str:
    """An id of this kind; the same object everywhere, so that the examples belong together."""
    return f"{prefix}_{ID}"


def page(item: dict[str, Any]) -> dict[str, Any]:
    """A page of a list that holds one object."""
    return {"items": [item], "has_more": False, "next_cursor": None}


def payment(**changes: Any) -> dict[str, Any]:
    """A completed payment of €48.90, with changes."""
    return {
        "id": public_id("pay"),
        "object": "payment",
        "merchant": public_id("mer"),
        "amount": 4890,
        "currency": "EUR",
        "status": "completed",
        "capture_method": "automatic",
        "amount_capturable": 0,
        "amount_captured": 4890,
        "amount_refunded": 0,
        "amount_disputed": 0,
        "fee": 172,
        "net": 4718,
        "customer": None,
        "payment_method": None,
        "card": CARD,
        "channel": "gateway",
        "description": None,
        "reference": "order-1042",
        "statement_descriptor": None,
        "metadata": {"cart": "8841"},
        "return_url": "https://shop.example/thanks",
        "next_action": None,
        "failure": None,
        "livemode": False,
        "created_at": AT,
        "updated_at": LATER,
        "completed_at": LATER,
        "available_at": None,
        **changes,
    }


REFUND: Final = {
    "id": public_id("ref"),
    "object": "refund",
    "payment": public_id("pay"),
    "amount": 1500,
    "currency": "EUR",
    "status": "completed",
    "reason": "requested_by_customer",
    "failure": None,
    "metadata": {},
    "livemode": False,
    "created_at": AT,
    "updated_at": LATER,
}
CUSTOMER: Final = {
    "id": public_id("cus"),
    "object": "customer",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "reference": "customer-17",
    "metadata": {},
    "livemode": False,
    "created_at": AT,
}
METHOD: Final = {
    "id": public_id("pm"),
    "object": "payment_method",
    "customer": public_id("cus"),
    "card": {key: value for key, value in CARD.items() if key != "funding"},
    "livemode": False,
    "created_at": AT,
}
ENDPOINT: Final = {
    "id": public_id("we"),
    "object": "webhook_endpoint",
    "url": "https://shop.example/webhooks",
    "events": ["payment.*", "refund.*"],
    "description": "",
    "status": "enabled",
    "disabled_reason": None,
    "livemode": False,
    "created_at": AT,
    "last_success_at": None,
    "failures_in_row": 0,
    "previous_secret_until": None,
}
EVENT: Final = {
    "id": public_id("evt"),
    "object": "event",
    "type": "payment.completed",
    "created_at": LATER,
    "livemode": False,
    "request_id": public_id("req"),
    "data": payment(),
}
DELIVERY: Final = {
    "id": public_id("whd"),
    "object": "webhook_delivery",
    "event": public_id("evt"),
    "event_type": "payment.completed",
    "endpoint": public_id("we"),
    "trigger": "event",
    "state": "delivered",
    "attempts": 1,
    "created_at": LATER,
    "next_attempt_at": None,
    "delivered_at": LATER,
    "last_status": 200,
    "last_error": "",
}
KEY: Final = {
    "id": public_id("key"),
    "object": "api_key",
    "kind": "rk",
    "name": "Reporting",
    "livemode": False,
    "status": "active",
    "hint": "x7Qp",
    "scopes": ["payments.read", "refunds.read"],
    "ip_allowlist": [],
    "key": None,
    "replaced_by": None,
    "created_at": AT,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
TOKENS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMDEifQ.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "expires_in": 300,
    "refresh_token": "rt_6Yq1v0m3kz",
    "tenant": public_id("mer"),
    "role": "developer",
}
SESSION: Final = {
    "id": public_id("cs"),
    "object": "checkout_session",
    "merchant": public_id("mer"),
    "url": "https://merchantry.example/pay/cs_01kah8q3v5e0trz5b2m8x1c9dn/9f2c6b1e",
    "status": "open",
    "amount": 4890,
    "currency": "EUR",
    "capture_method": "automatic",
    "payment": None,
    "customer": None,
    "description": "Two tickets",
    "reference": "order-1042",
    "statement_descriptor": None,
    "metadata": {},
    "success_url": "https://shop.example/thanks",
    "cancel_url": "https://shop.example/cart",
    "livemode": False,
    "created_at": AT,
    "expires_at": "2026-11-22T09:30:00.000Z",
    "completed_at": None,
    "canceled_at": None,
}
EXPANDED: Final = {
    "events": [
        {
            "id": public_id("pev"),
            "type": "payment.completed",
            "status": "completed",
            "amount": 4890,
            "actor": {"kind": "api_key", "label": "Server"},
            "message": None,
            "created_at": LATER,
        }
    ],
    "attempts": [
        {
            "id": public_id("int"),
            "state": "SETTLED",
            "provider_id": "sbx_9f2c",
            "failure": None,
            "created_at": AT,
        }
    ],
    "ledger": [
        {
            "id": public_id("trf"),
            "debit_account": "provider:sandbox:clearing",
            "credit_account": "merchant:pending",
            "amount": 4890,
            "currency": "EUR",
            "code": "payment",
            "state": "posted",
        }
    ],
}
INTENT: Final[dict[str, Any]] = {
    "id": public_id("int"),
    "object": "intent",
    "merchant": public_id("mer"),
    "operation": "payment",
    "state": "SETTLED",
    "step": None,
    "amount": 4890,
    "amount_settled": 4890,
    "currency": "EUR",
    "fee": 172,
    "channel": "gateway",
    "document": None,
    "next_action": None,
    "failure": None,
    "tags": [],
    "livemode": False,
    "created_at": AT,
    "updated_at": LATER,
}
ACCOUNT: Final = {
    "id": "acc_7nep45zprtasnrgmtepsa1mhsy",
    "object": "ledger_account",
    "code": 2010,
    "type": "merchant_pending",
    "title": "Merchant, not yet available",
    "normal_side": "credit",
    "currency": "EUR",
    "livemode": False,
    "balance": 4718,
    "debits_pending": 0,
    "debits_posted": 172,
    "credits_pending": 0,
    "credits_posted": 4890,
    "closed": False,
    "opened_at": "2026-11-21T09:30:00.000412Z",
}
_DOCUMENT: Final = "pay_01kah8q3p5e0ttz560n0yrc4xn"
TRANSFER: Final = {
    "id": "trf_5n67r6hxysany83n7p4v7r381t",
    "object": "ledger_transfer",
    "debit_account": "acc_0p4ccnfj2zawfsg6zhxvb1svcq",
    "credit_account": ACCOUNT["id"],
    "amount": 4890,
    "currency": "EUR",
    "code": "payment",
    "state": "posted",
    "pending_transfer": "trf_7hj8p57zvfb99bmnr3qha10ze6",
    "corrects": None,
    "document": _DOCUMENT,
    "effective_on": "2026-11-21",
    "livemode": False,
    "booked_at": "2026-11-21T09:30:02.139688Z",
}
STATEMENT_LINE: Final = {
    "transfer": "trf_6ps4rwdsydarbt913cvsjg0ga7",
    "direction": "debit",
    "amount": 172,
    "code": "platform_fee",
    "state": "posted",
    "counterpart": "acc_5c8wf1cp57b8s8k1ahq0nwhcgt",
    "document": _DOCUMENT,
    "balance": 4718,
    "booked_at": "2026-11-21T09:30:02.139689Z",
    "effective_on": "2026-11-21",
}
MERCHANT: Final = {
    "id": public_id("mer"),
    "object": "merchant",
    "reseller": public_id("res"),
    "name": "Corner Books",
    "legal_name": "Corner Books LLC",
    "status": "active",
    "country": "US",
    "default_currency": "USD",
    "statement_descriptor": "CORNER BOOKS",
    "support_email": "help@cornerbooks.example",
    "website": "https://cornerbooks.example",
    "fee_bps": 290,
    "fee_fixed": 30,
    "reseller_share_bps": 2000,
    "created_at": AT,
}
MEMBER: Final = {
    "id": public_id("mem"),
    "object": "membership",
    "user": public_id("usr"),
    "email": "dev@shop.example",
    "name": "Grace Hopper",
    "role": "developer",
    "joined_at": AT,
    "last_login": LATER,
}
INVITATION: Final = {
    "id": public_id("inv"),
    "object": "invitation",
    "email": "linus@shop.example",
    "role": "viewer",
    "merchant": public_id("mer"),
    "created_at": AT,
    "expires_at": "2026-11-28T09:30:00.000Z",
}
