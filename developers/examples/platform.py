"""Examples of events, webhooks, credentials, people and merchants."""

from __future__ import annotations

from typing import Final

from developers.examples.shapes import (
    DELIVERY,
    ENDPOINT,
    EVENT,
    INVITATION,
    KEY,
    LATER,
    MEMBER,
    MERCHANT,
    TOKENS,
    Example,
    page,
    public_id,
)

PLATFORM: Final[dict[str, Example]] = {
    "webhook_endpoints_create": Example(
        "Payments and refunds",
        {"url": "https://shop.example/webhooks", "events": ["payment.*", "refund.*"]},
        {**ENDPOINT, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    ),
    "webhook_endpoints_list": Example("One page", None, page(ENDPOINT)),
    "webhook_endpoints_retrieve": Example("An endpoint", None, ENDPOINT),
    "webhook_endpoints_update": Example(
        "Every event", {"events": ["*"]}, {**ENDPOINT, "events": ["*"]}
    ),
    "webhook_endpoints_roll_secret": Example(
        "Both sign for a day",
        {"overlap_hours": 24},
        {**ENDPOINT, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    ),
    "webhook_endpoints_replay": Example(
        "Since an outage",
        {"created_from": "2026-11-20T00:00:00Z", "only_missing": True},
        {"events": 214, "has_more": False},
    ),
    "webhook_deliveries_list": Example("One page", None, page(DELIVERY)),
    "events_list": Example("One page", None, page(EVENT)),
    "events_retrieve": Example("A completed payment", None, EVENT),
    "events_resend": Example("To all endpoints", {}, {"deliveries": [DELIVERY]}),
    "api_keys_create": Example(
        "A restricted key",
        {"name": "Reporting", "kind": "rk", "scopes": ["payments.read", "refunds.read"]},
        {**KEY, "key": "mk_rk_test_2Jm8c1c9dnKah8q3v5e0trz5b2x7Qp"},
    ),
    "api_keys_list": Example("One page", None, page(KEY)),
    "auth_login": Example(
        "With a one-time code",
        {
            "email": "dev@shop.example",
            "password": "correct horse battery staple",
            "otp": "287082",
        },
        TOKENS,
    ),
    "auth_refresh": Example("Rotate", {"refresh_token": "rt_6Yq1v0m3kz"}, TOKENS),
    "client_session_create": Example(
        "Client credentials",
        {
            "grant_type": "client_credentials",
            "client_id": public_id("key"),
            "client_secret": "mcs_2Jm8c1c9dnKah8q3v5e0",
        },
        {key: TOKENS[key] for key in ("access_token", "token_type", "expires_in")},
    ),
    "root_retrieve": Example(
        "Where things are",
        None,
        {
            "object": "api",
            "name": "Merchantry API",
            "version": "1.0.0",
            "documentation": "https://merchantry.example/docs",
            "openapi": "https://merchantry.example/v1/openapi.json",
            "resources": {"payments": "/v1/payments", "refunds": "/v1/refunds"},
        },
    ),
    "webhook_endpoints_delete": Example(
        "An endpoint",
        None,
        {**ENDPOINT, "status": "disabled", "disabled_reason": "by_user", "deleted": True},
    ),
    "webhook_deliveries_retrieve": Example(
        "Received at the second attempt",
        None,
        {
            **DELIVERY,
            "attempts": 2,
            "attempt_log": [
                {
                    "number": 1,
                    "created_at": LATER,
                    "duration_ms": 412,
                    "status": 503,
                    "error": "The endpoint answered 503.",
                    "response_excerpt": "Down for maintenance",
                },
                {
                    "number": 2,
                    "created_at": "2026-11-21T09:30:07.512Z",
                    "duration_ms": 38,
                    "status": 200,
                    "error": "",
                    "response_excerpt": "ok",
                },
            ],
            "delivered_at": "2026-11-21T09:30:07.550Z",
        },
    ),
    "api_keys_retrieve": Example("A restricted key", None, KEY),
    "api_keys_rotate": Example(
        "The old key works for another hour",
        {"overlap_seconds": 3600},
        {**KEY, "key": "mk_rk_test_2Jm8c1c9dnKah8q3v5e0trz5b2x7Qp"},
    ),
    "api_keys_revoke": Example("At once", None, {**KEY, "status": "revoked", "revoked_at": LATER}),
    "auth_logout": Example(
        "End the login", {"refresh_token": "rt_6Yq1v0m3kz"}, {"logged_out": True}
    ),
    "merchants_list": Example("One page", None, page(MERCHANT)),
    "merchants_create": Example(
        "A bookshop",
        {
            "name": "Corner Books",
            "legal_name": "Corner Books LLC",
            "country": "US",
            "default_currency": "USD",
            "statement_descriptor": "CORNER BOOKS",
            "support_email": "help@cornerbooks.example",
            "website": "https://cornerbooks.example",
        },
        {**MERCHANT, "status": "pending"},
    ),
    "merchants_retrieve": Example("A bookshop", None, MERCHANT),
    "team_list": Example("One page", None, page(MEMBER)),
    "team_update": Example("A new role", {"role": "admin"}, {**MEMBER, "role": "admin"}),
    "team_remove": Example(
        "A member", None, {"id": public_id("mem"), "object": "membership", "deleted": True}
    ),
    "invitations_list": Example("One page", None, page(INVITATION)),
    "invitations_create": Example(
        "A viewer",
        {"email": "linus@shop.example", "role": "viewer"},
        INVITATION,
    ),
    "invitations_revoke": Example(
        "An open invitation",
        None,
        {"id": public_id("inv"), "object": "invitation", "deleted": True},
    ),
}
