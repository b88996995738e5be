"""Requests and answers as the API reference shows them; a test holds each against its schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_ID: Final = "01kah8q3v5e0trz5b2m8x1c9dn"
_AT: Final = "2026-11-21T09:30:00.000Z"
_LATER: Final = "2026-11-21T09:30:02.140Z"
_CARD: Final = {
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


def _id(prefix: str) -> str:
    return f"{prefix}_{_ID}"


def _page(item: dict[str, Any]) -> dict[str, Any]:
    return {"items": [item], "has_more": False, "next_cursor": None}


def _payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": _id("pay"),
        "object": "payment",
        "merchant": _id("mer"),
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
        "card": _CARD,
        "channel": "gateway",
        "description": None,
        "reference": "order-1042",
        "statement_descriptor": None,
        "metadata": {"cart": "8841"},
        "return_url": "https://shop.example/thanks",
        "next_action": None,
        "failure": None,
        "livemode": False,
        "created_at": _AT,
        "updated_at": _LATER,
        "completed_at": _LATER,
        "available_at": None,
        **changes,
    }


_REFUND: Final = {
    "id": _id("ref"),
    "object": "refund",
    "payment": _id("pay"),
    "amount": 1500,
    "currency": "EUR",
    "status": "completed",
    "reason": "requested_by_customer",
    "failure": None,
    "metadata": {},
    "livemode": False,
    "created_at": _AT,
    "updated_at": _LATER,
}
_CUSTOMER: Final = {
    "id": _id("cus"),
    "object": "customer",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "reference": "customer-17",
    "metadata": {},
    "livemode": False,
    "created_at": _AT,
}
_METHOD: Final = {
    "id": _id("pm"),
    "object": "payment_method",
    "customer": _id("cus"),
    "card": {key: value for key, value in _CARD.items() if key != "funding"},
    "livemode": False,
    "created_at": _AT,
}
_ENDPOINT: Final = {
    "id": _id("we"),
    "object": "webhook_endpoint",
    "url": "https://shop.example/webhooks",
    "events": ["payment.*", "refund.*"],
    "description": "",
    "status": "enabled",
    "disabled_reason": None,
    "livemode": False,
    "created_at": _AT,
    "last_success_at": None,
    "failures_in_row": 0,
    "previous_secret_until": None,
}
_EVENT: Final = {
    "id": _id("evt"),
    "object": "event",
    "type": "payment.completed",
    "created_at": _LATER,
    "livemode": False,
    "request_id": _id("req"),
    "data": _payment(),
}
_DELIVERY: Final = {
    "id": _id("whd"),
    "object": "webhook_delivery",
    "event": _id("evt"),
    "event_type": "payment.completed",
    "endpoint": _id("we"),
    "trigger": "event",
    "state": "delivered",
    "attempts": 1,
    "created_at": _LATER,
    "next_attempt_at": None,
    "delivered_at": _LATER,
    "last_status": 200,
    "last_error": "",
}
_KEY: Final = {
    "id": _id("key"),
    "object": "api_key",
    "kind": "rk",
    "name": "Reporting",
    "livemode": False,
    "status": "active",
    "hint": "mk_rk_test_…x7Qp",
    "scopes": ["payments.read", "refunds.read"],
    "ip_allowlist": [],
    "key": None,
    "replaced_by": None,
    "created_at": _AT,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
_TOKENS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMDEifQ.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "expires_in": 300,
    "refresh_token": "rt_6Yq1v0m3kz",
    "tenant": _id("mer"),
    "role": "developer",
}
_SESSION: Final = {
    "id": _id("cs"),
    "object": "checkout_session",
    "merchant": _id("mer"),
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
    "created_at": _AT,
    "expires_at": "2026-11-22T09:30:00.000Z",
    "completed_at": None,
    "canceled_at": None,
}
_EXPANDED: Final = {
    "events": [
        {
            "id": _id("pev"),
            "type": "payment.completed",
            "status": "completed",
            "amount": 4890,
            "actor": {"kind": "api_key", "label": "Server"},
            "message": None,
            "created_at": _LATER,
        }
    ],
    "attempts": [
        {
            "id": _id("int"),
            "state": "SETTLED",
            "provider_id": "sbx_9f2c",
            "failure": None,
            "created_at": _AT,
        }
    ],
    "ledger": [
        {
            "id": _id("trf"),
            "debit_account": "provider:sandbox:clearing",
            "credit_account": "merchant:pending",
            "amount": 4890,
            "currency": "EUR",
            "code": "payment",
            "state": "posted",
        }
    ],
}

EXAMPLES: Final[dict[str, Example]] = {
    "tokens_create": Example(
        "A test card",
        {
            "card": {
                "number": "4242 4242 4242 4242",
                "exp_month": 12,
                "exp_year": 2034,
                "cvc": "123",
            }
        },
        {
            "id": _id("tok"),
            "object": "token",
            "card": _CARD,
            "livemode": False,
            "expires_at": "2026-11-21T09:45:00.000Z",
        },
    ),
    "payments_create": Example(
        "Create, confirm and capture",
        {
            "amount": 4890,
            "currency": "EUR",
            "payment_method_token": _id("tok"),
            "confirm": True,
            "return_url": "https://shop.example/thanks",
            "reference": "order-1042",
            "metadata": {"cart": "8841"},
        },
        _payment(),
    ),
    "payments_list": Example("One page", None, _page(_payment())),
    "payments_retrieve": Example("With everything expanded", None, {**_payment(), **_EXPANDED}),
    "payments_confirm": Example(
        "The payer must act",
        {"payment_method_token": _id("tok"), "return_url": "https://shop.example/thanks"},
        _payment(
            status="requires_action",
            amount_captured=0,
            fee=0,
            net=0,
            completed_at=None,
            next_action={
                "type": "redirect",
                "url": "https://merchantry.example/sandbox/3ds/019aa28b-8ec5-7035-af94-c0a83d8613b5",
            },
        ),
    ),
    "payments_capture": Example(
        "A part",
        {"amount": 4000},
        _payment(capture_method="manual", amount_captured=4000, fee=146, net=3854),
    ),
    "payments_cancel": Example(
        "Release an authorization",
        {},
        _payment(
            status="canceled",
            capture_method="manual",
            amount_captured=0,
            fee=0,
            net=0,
            completed_at=None,
        ),
    ),
    "refunds_create": Example(
        "A part",
        {"payment": _id("pay"), "amount": 1500, "reason": "requested_by_customer"},
        _REFUND,
    ),
    "refunds_list": Example("One page", None, _page(_REFUND)),
    "refunds_retrieve": Example("A refund", None, _REFUND),
    "checkout_sessions_create": Example(
        "A page for one order",
        {
            "amount": 4890,
            "currency": "EUR",
            "description": "Two tickets",
            "reference": "order-1042",
            "success_url": "https://shop.example/thanks",
            "cancel_url": "https://shop.example/cart",
        },
        _SESSION,
    ),
    "checkout_sessions_list": Example("One page", None, _page({**_SESSION, "url": None})),
    "balance_retrieve": Example(
        "Two currencies",
        None,
        {
            "object": "balance",
            "livemode": False,
            "balances": [
                {"currency": "EUR", "pending": 4718, "available": 120050, "reserved": 0},
                {"currency": "USD", "pending": 0, "available": 8800, "reserved": 2500},
            ],
        },
    ),
    "customers_create": Example(
        "A customer",
        {"email": "ada@example.com", "name": "Ada Lovelace", "reference": "customer-17"},
        _CUSTOMER,
    ),
    "customers_list": Example("One page", None, _page(_CUSTOMER)),
    "customers_retrieve": Example("A customer", None, _CUSTOMER),
    "customers_update": Example("A new name", {"name": "Ada King"}, _CUSTOMER),
    "payment_methods_create": Example(
        "Save a card", {"customer": _id("cus"), "token": _id("tok")}, _METHOD
    ),
    "payment_methods_list": Example("One page", None, _page(_METHOD)),
    "payment_methods_retrieve": Example("A saved card", None, _METHOD),
    "webhook_endpoints_create": Example(
        "Payments and refunds",
        {"url": "https://shop.example/webhooks", "events": ["payment.*", "refund.*"]},
        {**_ENDPOINT, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    ),
    "webhook_endpoints_list": Example("One page", None, _page(_ENDPOINT)),
    "webhook_endpoints_retrieve": Example("An endpoint", None, _ENDPOINT),
    "webhook_endpoints_update": Example(
        "Every event", {"events": ["*"]}, {**_ENDPOINT, "events": ["*"]}
    ),
    "webhook_endpoints_roll_secret": Example(
        "Both sign for a day",
        {"overlap_hours": 24},
        {**_ENDPOINT, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    ),
    "webhook_endpoints_replay": Example(
        "Since an outage",
        {"created_from": "2026-11-20T00:00:00Z", "only_missing": True},
        {"events": 214},
    ),
    "webhook_deliveries_list": Example("One page", None, _page(_DELIVERY)),
    "events_list": Example("One page", None, _page(_EVENT)),
    "events_retrieve": Example("A completed payment", None, _EVENT),
    "events_resend": Example("To all endpoints", {}, {"deliveries": [_DELIVERY]}),
    "api_keys_create": Example(
        "A restricted key",
        {"name": "Reporting", "kind": "rk", "scopes": ["payments.read", "refunds.read"]},
        {**_KEY, "key": "mk_rk_test_2Jm8c1c9dnKah8q3v5e0trz5b2x7Qp"},
    ),
    "api_keys_list": Example("One page", None, _page(_KEY)),
    "auth_login": Example(
        "With a one-time code",
        {
            "email": "dev@shop.example",
            "password": "correct horse battery staple",
            "otp": "287082",
        },
        _TOKENS,
    ),
    "auth_refresh": Example("Rotate", {"refresh_token": "rt_6Yq1v0m3kz"}, _TOKENS),
    "client_session_create": Example(
        "Client credentials",
        {
            "grant_type": "client_credentials",
            "client_id": _id("key"),
            "client_secret": "mcs_2Jm8c1c9dnKah8q3v5e0",
        },
        {key: _TOKENS[key] for key in ("access_token", "token_type", "expires_in")},
    ),
}
