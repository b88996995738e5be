"""Addresses of the portal; pages of other rooms are mounted here under the same names."""

from __future__ import annotations

from django.urls import include, path

from ledger import portal as ledger
from notifications import portal as webhooks
from payments.acceptance.portal import pages as payments
from portal.navigation import form_of, know_seats
from portal.views import developers, home, settings, styleguide, switches
from tenants.portal import keys, merchants, team

_pages = [
    path("", home.home, name="home"),
    path("payments", payments.payments_page, name="payments"),
    path("payments/export.csv", payments.payments_export, name="payments-export"),
    path("payments/<str:payment_id>", payments.payment_page, name="payment"),
    path(
        "payments/<str:payment_id>/refund",
        form_of("payment", payments.refund_submit, "payment_id"),
        name="payment-refund",
    ),
    path(
        "payments/<str:payment_id>/capture",
        form_of("payment", payments.capture_submit, "payment_id"),
        name="payment-capture",
    ),
    path(
        "payments/<str:payment_id>/cancel",
        form_of("payment", payments.cancel_submit, "payment_id"),
        name="payment-cancel",
    ),
    path("balance", ledger.balance_page, name="balance"),
    path("balance/accounts/<str:account_id>", ledger.statement_page, name="statement"),
    path(
        "balance/accounts/<str:account_id>/statement.<str:kind>",
        ledger.statement_export,
        name="statement-export",
    ),
    path("merchants", merchants.merchants_page, name="merchants"),
    path(
        "merchants/create", form_of("merchants", merchants.merchant_create), name="merchant-create"
    ),
    path("merchants/<str:merchant_id>", merchants.merchant_page, name="merchant"),
    path(
        "merchants/<str:merchant_id>/edit",
        form_of("merchant", merchants.merchant_edit, "merchant_id"),
        name="merchant-edit",
    ),
    path(
        "merchants/<str:merchant_id>/owner",
        form_of("merchant", merchants.merchant_owner, "merchant_id"),
        name="merchant-owner",
    ),
    path("developers/keys", keys.keys_page, name="keys"),
    path("developers/keys/create", form_of("keys", keys.key_create), name="key-create"),
    path(
        "developers/keys/<str:key_id>/rotate", form_of("keys", keys.key_rotate), name="key-rotate"
    ),
    path(
        "developers/keys/<str:key_id>/revoke", form_of("keys", keys.key_revoke), name="key-revoke"
    ),
    path(
        "developers/keys/clients/create", form_of("keys", keys.client_create), name="client-create"
    ),
    path(
        "developers/keys/clients/<str:client_id>/revoke",
        form_of("keys", keys.client_revoke),
        name="client-revoke",
    ),
    path("developers/webhooks", webhooks.endpoints_page, name="webhooks"),
    path(
        "developers/webhooks/create",
        form_of("webhooks", webhooks.endpoint_create),
        name="webhook-create",
    ),
    path("developers/webhooks/<str:endpoint_id>", webhooks.endpoint_page, name="webhook"),
    path(
        "developers/webhooks/<str:endpoint_id>/update",
        form_of("webhook", webhooks.endpoint_update, "endpoint_id"),
        name="webhook-update",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/status",
        form_of("webhook", webhooks.endpoint_status, "endpoint_id"),
        name="webhook-status",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/roll",
        form_of("webhook", webhooks.endpoint_roll, "endpoint_id"),
        name="webhook-roll",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/replay",
        form_of("webhook", webhooks.endpoint_replay, "endpoint_id"),
        name="webhook-replay",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/delete",
        form_of("webhook", webhooks.endpoint_delete, "endpoint_id"),
        name="webhook-delete",
    ),
    path("developers/deliveries/<str:delivery_id>", webhooks.delivery_page, name="delivery"),
    path("developers/events", webhooks.events_page, name="events"),
    path("developers/events/<str:event_id>", webhooks.event_page, name="event"),
    path(
        "developers/events/<str:event_id>/resend",
        form_of("event", webhooks.event_resend, "event_id"),
        name="event-resend",
    ),
    path("developers/requests", developers.requests_page, name="requests"),
    path("team", team.team_page, name="team"),
    path("team/invite", form_of("team", team.invite), name="invite"),
    path(
        "team/invitations/<str:invitation_id>/revoke",
        form_of("team", team.invitation_revoke),
        name="invitation-revoke",
    ),
    path("team/<str:member_id>/role", form_of("team", team.member_role), name="member-role"),
    path("team/<str:member_id>/remove", form_of("team", team.member_remove), name="member-remove"),
    path("team/<str:member_id>/merchants", team.agent_page, name="member-merchants"),
    path(
        "team/<str:member_id>/agent",
        form_of("member-merchants", team.agent, "member_id"),
        name="member-agent",
    ),
    path("settings", settings.settings_page, name="settings"),
    path("settings/theme", switches.theme_set, name="theme"),
    path("settings/mode", form_of("home", switches.mode_set), name="mode"),
    path("settings/account", form_of("home", switches.tenant_set), name="tenant"),
    path("settings/accounts", switches.find_seats(switches.accounts_page), name="accounts"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
]

for _page in _pages:
    _page.callback = know_seats(_page.callback)

pages = [path("", include((_pages, "portal")))]
