"""Examples of events, webhooks, credentials, people and merchants."""

from __future__ import annotations

from typing import Final

from core.shapes import LATER, example, example_id
from developers.examples.example import Example
from developers.shapes import RootOut
from notifications.shapes import (
    DeliveryAttemptOut,
    DeliveryDetailOut,
    DeliveryList,
    EndpointDeletedOut,
    EndpointList,
    EndpointOut,
    EndpointWithSecretOut,
    EventList,
    EventOut,
    ReplayedOut,
    ResentOut,
)
from payments.acceptance.shapes import PaymentOut
from tenants.shapes import (
    AccessTokenOut,
    ApiKeyOut,
    ApiKeyPage,
    DeletedOut,
    InvitationOut,
    InvitationPage,
    LoggedOutOut,
    MemberOut,
    MerchantOut,
    MerchantPage,
    Team,
)

EVENT: Final = example(EventOut, data=example(PaymentOut))

_KEY: Final = "mk_rk_test_2Jm8c1c9dnKah8q3v5e0trz5b2x7Qp"
_REFRESH: Final = "rt_6Yq1v0m3kz"
_PERSONS_TOKEN: Final = example(
    AccessTokenOut, refresh_token=_REFRESH, tenant=example_id("mer"), role="developer"
)

PLATFORM: Final[dict[str, Example]] = {
    "root_retrieve": Example("Where things are", example(RootOut)),
    "webhook_endpoints_create": Example(
        "Payments and refunds",
        example(EndpointWithSecretOut),
        request={"url": "https://shop.example/webhooks", "events": ["payment.*", "refund.*"]},
    ),
    "webhook_endpoints_list": Example("One page", example(EndpointList)),
    "webhook_endpoints_retrieve": Example("An endpoint", example(EndpointOut)),
    "webhook_endpoints_update": Example(
        "Every event", example(EndpointOut, events=["*"]), request={"events": ["*"]}
    ),
    "webhook_endpoints_delete": Example(
        "An endpoint",
        example(EndpointDeletedOut, status="disabled", disabled_reason="by_user"),
    ),
    "webhook_endpoints_roll_secret": Example(
        "Both sign for a day", example(EndpointWithSecretOut), request={"overlap_hours": 24}
    ),
    "webhook_endpoints_replay": Example(
        "Since an outage",
        example(ReplayedOut),
        request={"created_from": "2026-11-20T00:00:00Z", "only_missing": True},
    ),
    "webhook_deliveries_list": Example("One page", example(DeliveryList)),
    "webhook_deliveries_retrieve": Example(
        "Received at the second attempt",
        example(
            DeliveryDetailOut,
            attempts=2,
            delivered_at="2026-11-21T09:30:07.550Z",
            attempt_log=[
                example(
                    DeliveryAttemptOut,
                    duration_ms=412,
                    status=503,
                    error="The endpoint answered 503.",
                    response_excerpt="Down for maintenance",
                ),
                example(DeliveryAttemptOut, number=2, created_at="2026-11-21T09:30:07.512Z"),
            ],
        ),
    ),
    "events_list": Example("One page", example(EventList, items=[EVENT])),
    "events_retrieve": Example("A completed payment", EVENT),
    "events_resend": Example("To all endpoints", example(ResentOut), request={}),
    "api_keys_create": Example(
        "A restricted key",
        example(ApiKeyOut, key=_KEY),
        request={
            "name": "Reporting",
            "kind": "rk",
            "scopes": ["payments.read", "refunds.read"],
        },
    ),
    "api_keys_list": Example("One page", example(ApiKeyPage)),
    "api_keys_retrieve": Example("A restricted key", example(ApiKeyOut)),
    "api_keys_rotate": Example(
        "The old key works for another hour",
        example(ApiKeyOut, key=_KEY),
        request={"overlap_seconds": 3600},
    ),
    "api_keys_revoke": Example("At once", example(ApiKeyOut, status="revoked", revoked_at=LATER)),
    "auth_login": Example(
        "With a one-time code",
        _PERSONS_TOKEN,
        request={
            "email": "dev@shop.example",
            "password": "correct horse battery staple",
            "otp": "287082",
        },
    ),
    "auth_refresh": Example("Rotate", _PERSONS_TOKEN, request={"refresh_token": _REFRESH}),
    "auth_logout": Example(
        "End the login", example(LoggedOutOut), request={"refresh_token": _REFRESH}
    ),
    "client_session_create": Example(
        "Client credentials",
        example(AccessTokenOut),
        request={
            "grant_type": "client_credentials",
            "client_id": example_id("key"),
            "client_secret": "mcs_2Jm8c1c9dnKah8q3v5e0",
        },
    ),
    "merchants_list": Example("One page", example(MerchantPage)),
    "merchants_create": Example(
        "A bookshop",
        example(MerchantOut, status="pending"),
        request={
            "name": "Corner Books",
            "legal_name": "Corner Books LLC",
            "country": "US",
            "default_currency": "USD",
            "statement_descriptor": "CORNER BOOKS",
            "support_email": "help@cornerbooks.example",
            "website": "https://cornerbooks.example",
        },
    ),
    "merchants_retrieve": Example("A bookshop", example(MerchantOut)),
    "team_list": Example("One page", example(Team)),
    "team_update": Example(
        "A new role", example(MemberOut, role="admin"), request={"role": "admin"}
    ),
    "team_remove": Example(
        "A member", example(DeletedOut, id=example_id("mem"), object="membership")
    ),
    "invitations_list": Example("One page", example(InvitationPage)),
    "invitations_create": Example(
        "A viewer",
        example(InvitationOut),
        request={"email": "linus@shop.example", "role": "viewer"},
    ),
    "invitations_resend": Example("Send again", example(InvitationOut)),
    "invitations_revoke": Example(
        "An open invitation",
        example(DeletedOut, id=example_id("inv"), object="invitation"),
    ),
}
