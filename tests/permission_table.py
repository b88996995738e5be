"""Who may open what: one row for every address of the platform.

A new address without a row fails `tests/tenants/test_permission_table.py`; so does a row whose
address is gone. Add yours here, in the section of your room.

* `api("payments.read")`: under /v1/, by method; the permission is the one that the view demands.
* `page("team.read")`: a portal page, by method; `levels` where it does not exist on both levels.
* `PUBLIC`: no caller is needed (or the caller proves itself otherwise, as a provider's webhook).
* `MEMBER`: every signed-in person with a seat.

`ROLES` says in words of its own which roles hold a permission, so that a slip in
`tenants/policies.py` is a failing test and not a new rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """The permission that each method of an address needs; None is every member."""

    kind: str
    methods: dict[str, str | None]
    levels: tuple[str, ...] = ("merchant", "reseller")


def api(**methods: str) -> Row:
    """An address of the API, by method."""
    return Row("api", dict(methods))


def page(
    permission: str | None,
    *,
    method: str = "GET",
    levels: tuple[str, ...] = ("merchant", "reseller"),
) -> Row:
    """A page of the portal."""
    return Row("page", {method: permission}, levels)


PUBLIC: Final = Row("public", {})
MERCHANT: Final = ("merchant",)
RESELLER: Final = ("reseller",)

TABLE: Final[dict[str, Row]] = {
    # core
    "health/live": PUBLIC,
    "health/ready": PUBLIC,
    "metrics": PUBLIC,
    # tenants
    "v1/auth/login": PUBLIC,
    "v1/auth/refresh": PUBLIC,
    "v1/auth/logout": PUBLIC,
    "v1/client/session": PUBLIC,
    "auth/token": PUBLIC,
    "v1/api_keys": api(GET="keys.read", POST="keys.write"),
    "v1/api_keys/<str:key_id>": api(GET="keys.read"),
    "v1/api_keys/<str:key_id>/rotate": api(POST="keys.write"),
    "v1/api_keys/<str:key_id>/revoke": api(POST="keys.write"),
    "v1/team": api(GET="team.read"),
    "v1/team/invitations": api(GET="team.read", POST="team.write"),
    "v1/team/invitations/<str:invitation_id>": api(DELETE="team.write"),
    "v1/team/invitations/<str:invitation_id>/resend": api(POST="team.write"),
    "v1/team/<str:member_id>": api(PATCH="team.write", DELETE="team.write"),
    "v1/merchants": api(GET="merchants.read", POST="merchants.write"),
    "v1/merchants/<str:merchant_id>": api(GET="merchants.read"),
    "login": PUBLIC,
    "login/verify": PUBLIC,
    "login/link": PUBLIC,
    "login/link/<str:token>": PUBLIC,
    "login/setup": PUBLIC,
    "logout": PUBLIC,
    "password/reset": PUBLIC,
    "password/reset/<str:user_id>/<str:token>": PUBLIC,
    "invitations/<str:token>": PUBLIC,
    "merchants": page("merchants.read", levels=RESELLER),
    "merchants/create": page("merchants.write", method="POST", levels=RESELLER),
    "merchants/<str:merchant_id>": page("merchants.read", levels=RESELLER),
    "merchants/<str:merchant_id>/edit": page("settings.write", method="POST", levels=RESELLER),
    "merchants/<str:merchant_id>/owner": page("team.write", method="POST", levels=RESELLER),
    "developers/keys": page("keys.read", levels=MERCHANT),
    "developers/keys/create": page("keys.write", method="POST", levels=MERCHANT),
    "developers/keys/<str:key_id>/rotate": page("keys.write", method="POST", levels=MERCHANT),
    "developers/keys/<str:key_id>/revoke": page("keys.write", method="POST", levels=MERCHANT),
    "team": page("team.read"),
    "developers/keys/clients/create": page("keys.write", method="POST", levels=MERCHANT),
    "developers/keys/clients/<str:client_id>/revoke": page(
        "keys.write", method="POST", levels=MERCHANT
    ),
    "team/<str:member_id>/merchants": page("team.write", levels=RESELLER),
    "team/<str:member_id>/agent": page("team.write", method="POST", levels=RESELLER),
    "team/invite": page("team.write", method="POST"),
    "team/invitations/<str:invitation_id>/revoke": page("team.write", method="POST"),
    "team/invitations/<str:invitation_id>/resend": page("team.write", method="POST"),
    "team/<str:member_id>/role": page("team.write", method="POST"),
    "team/<str:member_id>/remove": page("team.write", method="POST"),
    # notifications
    "v1/events": api(GET="events.read"),
    "v1/events/<str:event_id>": api(GET="events.read"),
    "v1/events/<str:event_id>/resend": api(POST="events.resend"),
    "v1/webhook_endpoints": api(GET="webhooks.read", POST="webhooks.write"),
    "v1/webhook_endpoints/<str:endpoint_id>": api(
        GET="webhooks.read", PATCH="webhooks.write", DELETE="webhooks.write"
    ),
    "v1/webhook_endpoints/<str:endpoint_id>/roll_secret": api(POST="webhooks.write"),
    "v1/webhook_endpoints/<str:endpoint_id>/replay": api(POST="events.resend"),
    "v1/webhook_deliveries": api(GET="webhooks.read"),
    "v1/webhook_deliveries/<str:delivery_id>": api(GET="webhooks.read"),
    "developers/webhooks": page("webhooks.read", levels=MERCHANT),
    "developers/webhooks/create": page("webhooks.write", method="POST", levels=MERCHANT),
    "developers/webhooks/<str:endpoint_id>": page("webhooks.read", levels=MERCHANT),
    "developers/webhooks/<str:endpoint_id>/update": page(
        "webhooks.write", method="POST", levels=MERCHANT
    ),
    "developers/webhooks/<str:endpoint_id>/status": page(
        "webhooks.write", method="POST", levels=MERCHANT
    ),
    "developers/webhooks/<str:endpoint_id>/roll": page(
        "webhooks.write", method="POST", levels=MERCHANT
    ),
    "developers/webhooks/<str:endpoint_id>/replay": page(
        "webhooks.write", method="POST", levels=MERCHANT
    ),
    "developers/webhooks/<str:endpoint_id>/delete": page(
        "webhooks.write", method="POST", levels=MERCHANT
    ),
    "developers/deliveries/<str:delivery_id>": page("webhooks.read", levels=MERCHANT),
    "developers/events": page("events.read", levels=MERCHANT),
    "developers/events/<str:event_id>": page("events.read", levels=MERCHANT),
    "developers/events/<str:event_id>/resend": page(
        "events.resend", method="POST", levels=MERCHANT
    ),
    # ledger
    "v1/balance": api(GET="balance.read"),
    "v1/ledger/accounts": api(GET="ledger.read"),
    "v1/ledger/accounts/<str:account_id>": api(GET="ledger.read"),
    "v1/ledger/accounts/<str:account_id>/statement": api(GET="ledger.read"),
    "v1/ledger/transfers": api(GET="ledger.read"),
    "v1/ledger/transfers/<str:transfer_id>": api(GET="ledger.read"),
    "balance": page("balance.read"),
    "balance/accounts/<str:account_id>": page("ledger.read"),
    "balance/accounts/<str:account_id>/statement.<str:kind>": page("ledger.read"),
    # payments.providers
    "v1/provider_webhooks/<slug:provider>/<slug:account_id>": PUBLIC,
    "sandbox/3ds/<uuid:challenge_id>": PUBLIC,
    # payments.intents
    "v1/intents": api(POST="intents.create"),
    "v1/intents/<str:intent_id>": api(GET="intents.read"),
    # payments.acceptance
    "v1/tokens": api(POST="tokens.create"),
    "v1/customers": api(GET="customers.read", POST="customers.write"),
    "v1/customers/<str:customer_id>": api(
        GET="customers.read", PATCH="customers.write", DELETE="customers.write"
    ),
    "v1/payment_methods": api(GET="payment_methods.read", POST="payment_methods.write"),
    "v1/payment_methods/<str:payment_method_id>": api(
        GET="payment_methods.read", DELETE="payment_methods.write"
    ),
    "v1/payments": api(GET="payments.read", POST="payments.create"),
    "v1/payments/<str:payment_id>": api(GET="payments.read", PATCH="payments.create"),
    "v1/payments/<str:payment_id>/confirm": api(POST="payments.create"),
    "v1/payments/<str:payment_id>/capture": api(POST="payments.capture"),
    "v1/payments/<str:payment_id>/cancel": api(POST="payments.cancel"),
    "v1/refunds": api(GET="refunds.read", POST="payments.refund"),
    "v1/refunds/<str:refund_id>": api(GET="refunds.read"),
    "payments": page("payments.read"),
    "payments/export.csv": page("payments.export"),
    "payments/<str:payment_id>": page("payments.read"),
    "payments/<str:payment_id>/refund": page("payments.refund", method="POST", levels=MERCHANT),
    "payments/<str:payment_id>/capture": page("payments.capture", method="POST", levels=MERCHANT),
    "payments/<str:payment_id>/cancel": page("payments.cancel", method="POST", levels=MERCHANT),
    # payments.checkout: the payer's pages are opened by the secret in their address
    "v1/checkout/sessions": api(GET="checkout.read", POST="checkout.write"),
    "v1/checkout/sessions/<str:session_id>": api(GET="checkout.read"),
    "v1/checkout/sessions/<str:session_id>/expire": api(POST="checkout.write"),
    "pay/<str:session_id>/<str:secret>": PUBLIC,
    "pay/<str:session_id>/<str:secret>/cancel": PUBLIC,
    "pay/<str:session_id>/<str:secret>/payment": PUBLIC,
    "pay/<str:session_id>/<str:secret>/status": PUBLIC,
    "pay/<str:session_id>/<str:secret>/tokens": PUBLIC,
    "pay/returned": PUBLIC,
    "payer-return/<str:ticket>": PUBLIC,
    # developers
    "v1": PUBLIC,
    "v1/": PUBLIC,
    "v1/openapi.json": PUBLIC,
    "docs": PUBLIC,
    "docs/api": PUBLIC,
    "docs/events": PUBLIC,
    # portal
    "": page(None),
    "developers/requests": page("requests.read", levels=MERCHANT),
    "settings": page("settings.read"),
    "settings/theme": PUBLIC,
    "settings/mode": page(None, method="POST"),
    "settings/accounts": page(None),
    "settings/account": page(None, method="POST"),
    "styleguide": PUBLIC,
}

#: Lists of the admin that need more than to be of the platform's staff.
ADMIN: Final[dict[str, str]] = {
    "core_requestlog": "requests.read",
    "notifications_webhookdelivery": "webhooks.read",
    "notifications_webhookendpoint": "webhooks.read",
}

#: Who holds what: "merchant roles | reseller roles | platform roles" by initials
#: (owner, admin, developer, viewer | the same | compliance, finance, support), and "2" where a
#: second factor is a condition.
ROLES: Final[dict[str, str]] = {
    "payments.read": "oadv | oadv | cfs",
    "payments.create": "oad | - | - 2",
    "payments.capture": "oad | - | - 2",
    "payments.cancel": "oad | - | - 2",
    "payments.refund": "oad | - | - 2",
    "payments.export": "oadv | oadv | cf",
    "refunds.read": "oadv | oadv | cfs",
    "customers.read": "oadv | oadv | cfs",
    "customers.write": "oad | - | -",
    "payment_methods.read": "oadv | oadv | cfs",
    "payment_methods.write": "oad | - | -",
    "tokens.create": "oad | - | -",
    "checkout.read": "oadv | oadv | cfs",
    "checkout.write": "oad | - | -",
    "intents.read": "oadv | - | cfs",
    "intents.create": "- | - | -",
    "balance.read": "oadv | oadv | cfs",
    "ledger.read": "oadv | oadv | cfs",
    "fee_split.read": "- | oadv | cfs",
    "webhooks.read": "oadv | - | s",
    "webhooks.write": "oad | - | -",
    "events.read": "oadv | - | s",
    "events.resend": "oad | - | s",
    "keys.read": "oad | - | -",
    "keys.write": "oad | - | - 2",
    "requests.read": "oad | - | s",
    "team.read": "oadv | oadv | cfs",
    "team.write": "oa | oa | - 2",
    "merchants.read": "oadv | oadv | cfs",
    "merchants.write": "- | oa | c 2",
    "settings.read": "oadv | oadv | cfs",
    "settings.write": "oa | oa | - 2",
    "platform.staff": "- | - | cfs",
    "platform.tenants.write": "- | - | c 2",
    "platform.users.write": "- | - | cs 2",
    "platform.users.confirm": "- | - | cfs 2",
    "platform.money.write": "- | - | f 2",
    "platform.operations.write": "- | - | fs 2",
}
