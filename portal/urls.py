"""Addresses of the portal; pages of other rooms are mounted here under the same names."""

from __future__ import annotations

from django.urls import include, path

from ledger import portal as ledger
from notifications import portal as webhooks
from payments.acceptance.portal import pages as payments
from portal.navigation import know_seats
from portal.views import developers, home, settings, styleguide, switches
from tenants import portal_keys as keys
from tenants import portal_merchants as merchants
from tenants import portal_team as team

_pages = [
    path("", home.home, name="home"),
    path("payments", payments.payments_page, name="payments"),
    path("payments/export.csv", payments.payments_export, name="payments-export"),
    path("payments/<str:payment_id>", payments.payment_page, name="payment"),
    path("payments/<str:payment_id>/refund", payments.refund_submit, name="payment-refund"),
    path("payments/<str:payment_id>/capture", payments.capture_submit, name="payment-capture"),
    path("payments/<str:payment_id>/cancel", payments.cancel_submit, name="payment-cancel"),
    path("balance", ledger.balance_page, name="balance"),
    path("balance/accounts/<str:account_id>", ledger.statement_page, name="statement"),
    path(
        "balance/accounts/<str:account_id>/statement.<str:kind>",
        ledger.statement_export,
        name="statement-export",
    ),
    path("merchants", merchants.merchants_page, name="merchants"),
    path("merchants/create", merchants.merchant_create, name="merchant-create"),
    path("merchants/<str:merchant_id>", merchants.merchant_page, name="merchant"),
    path("merchants/<str:merchant_id>/edit", merchants.merchant_edit, name="merchant-edit"),
    path("merchants/<str:merchant_id>/owner", merchants.merchant_owner, name="merchant-owner"),
    path("developers/keys", keys.keys_page, name="keys"),
    path("developers/keys/create", keys.key_create, name="key-create"),
    path("developers/keys/<str:key_id>/rotate", keys.key_rotate, name="key-rotate"),
    path("developers/keys/<str:key_id>/revoke", keys.key_revoke, name="key-revoke"),
    path("developers/keys/clients/create", keys.client_create, name="client-create"),
    path(
        "developers/keys/clients/<str:client_id>/revoke", keys.client_revoke, name="client-revoke"
    ),
    path("developers/webhooks", webhooks.endpoints_page, name="webhooks"),
    path("developers/webhooks/create", webhooks.endpoint_create, name="webhook-create"),
    path("developers/webhooks/<str:endpoint_id>", webhooks.endpoint_page, name="webhook"),
    path(
        "developers/webhooks/<str:endpoint_id>/update",
        webhooks.endpoint_update,
        name="webhook-update",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/status",
        webhooks.endpoint_status,
        name="webhook-status",
    ),
    path("developers/webhooks/<str:endpoint_id>/roll", webhooks.endpoint_roll, name="webhook-roll"),
    path(
        "developers/webhooks/<str:endpoint_id>/replay",
        webhooks.endpoint_replay,
        name="webhook-replay",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/delete",
        webhooks.endpoint_delete,
        name="webhook-delete",
    ),
    path("developers/deliveries/<str:delivery_id>", webhooks.delivery_page, name="delivery"),
    path("developers/events", webhooks.events_page, name="events"),
    path("developers/events/<str:event_id>", webhooks.event_page, name="event"),
    path("developers/events/<str:event_id>/resend", webhooks.event_resend, name="event-resend"),
    path("developers/requests", developers.requests_page, name="requests"),
    path("team", team.team_page, name="team"),
    path("team/invite", team.invite, name="invite"),
    path(
        "team/invitations/<str:invitation_id>/revoke",
        team.invitation_revoke,
        name="invitation-revoke",
    ),
    path("team/<str:member_id>/role", team.member_role, name="member-role"),
    path("team/<str:member_id>/remove", team.member_remove, name="member-remove"),
    path("team/<str:member_id>/merchants", team.agent_page, name="member-merchants"),
    path("team/<str:member_id>/agent", team.agent, name="member-agent"),
    path("settings", settings.settings_page, name="settings"),
    path("settings/theme", switches.theme_set, name="theme"),
    path("settings/mode", switches.mode_set, name="mode"),
    path("settings/account", switches.tenant_set, name="tenant"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
]

for _page in _pages:
    _page.callback = know_seats(_page.callback)

pages = [path("", include((_pages, "portal")))]
