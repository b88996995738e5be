"""The admin site of the platform's staff: unfold's look, our login, our navigation.

Registered in place of unfold's own site, before the apps register their models. There is no
second login: staff log in like everybody else and need a second factor. The transaction of a
request and its content security policy come from ``tenants.middleware.AdminScopeMiddleware``.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin import sites
from django.contrib.admin.apps import SimpleAdminConfig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from core.back_address import asked_address, with_next
from core.requests import ACTOR

#: Sections of the sidebar: title, then (label, icon, url name).
NAVIGATION: Final[tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]] = (
    ("", (("Overview", "space_dashboard", "admin:index"),)),
    (
        "Tenants",
        (
            ("Platforms", "hub", "admin:tenants_platform_changelist"),
            ("Resellers", "handshake", "admin:tenants_reseller_changelist"),
            ("Merchants", "storefront", "admin:tenants_merchant_changelist"),
            ("People", "group", "admin:tenants_user_changelist"),
            ("Memberships", "badge", "admin:tenants_membership_changelist"),
            ("Invitations", "mail", "admin:tenants_invitation_changelist"),
            ("Changes to people", "how_to_reg", "admin:tenants_personchange_changelist"),
            ("Changes to tenants", "storefront", "admin:tenants_tenantchange_changelist"),
        ),
    ),
    (
        "Money in",
        (
            ("Payments", "payments", "admin:acceptance_payment_changelist"),
            ("Refunds", "undo", "admin:acceptance_refund_changelist"),
            ("Customers", "person", "admin:acceptance_customer_changelist"),
            ("Checkout sessions", "shopping_cart", "admin:checkout_checkoutsession_changelist"),
            ("Intents", "swap_horiz", "admin:intents_intent_changelist"),
            ("Provider accounts", "account_balance", "admin:providers_provideraccount_changelist"),
            ("Routing rules", "alt_route", "admin:providers_routingrule_changelist"),
        ),
    ),
    (
        "Books",
        (
            ("Accounts", "account_balance_wallet", "admin:ledger_account_changelist"),
            ("Transfers", "sync_alt", "admin:ledger_transfer_changelist"),
            ("Trial balance", "balance", "admin:ledger_account_trial_balance"),
            ("Corrections", "edit_note", "admin:ledger_correctionproposal_changelist"),
            ("Conversions", "currency_exchange", "admin:ledger_fxconversion_changelist"),
            ("Refused ids", "block", "admin:ledger_failedtransfer_changelist"),
            ("Integrity runs", "fact_check", "admin:ledger_integrityrun_changelist"),
            ("Chart of accounts", "account_tree", "admin:ledger_accountcode_changelist"),
        ),
    ),
    (
        "Operations",
        (
            ("API keys", "key", "admin:tenants_apikey_changelist"),
            ("Machine clients", "memory", "admin:tenants_machineclient_changelist"),
            ("Service callers", "smart_toy", "admin:tenants_servicecaller_changelist"),
            ("Webhook endpoints", "link", "admin:notifications_webhookendpoint_changelist"),
            ("Webhook deliveries", "webhook", "admin:notifications_webhookdelivery_changelist"),
            ("API requests", "receipt_long", "admin:core_requestlog_changelist"),
            ("Outbox", "outbox", "admin:core_outboxevent_changelist"),
            ("Inbox", "inbox", "admin:core_inboxmessage_changelist"),
            ("Audit log", "history", "admin:core_auditrecord_changelist"),
        ),
    ),
)

#: The portal's accent (tokens of notes on the look), in the steps that unfold asks for.
COLORS: Final = {
    "primary": {
        "50": "oklch(96.9% .014 279)",
        "100": "oklch(93.6% .028 279)",
        "200": "oklch(87.5% .057 279)",
        "300": "oklch(78.9% .102 279)",
        "400": "oklch(76% .115 279)",
        # unfold sets links on dark surfaces in 500: it has to be light enough to read.
        "500": "oklch(71% .14 278)",
        "600": "oklch(49% .222 273)",
        "700": "oklch(43% .2 273)",
        "800": "oklch(37% .165 274)",
        "900": "oklch(32% .13 275)",
        "950": "oklch(25% .1 277)",
    },
    # One step darker than unfold's, whose subtle text is below 4.5 : 1 on its grey surfaces.
    "font": {
        "subtle-light": "var(--color-base-600)",
        "subtle-dark": "var(--color-base-300)",
        "default-light": "var(--color-base-700)",
        "default-dark": "var(--color-base-200)",
        "important-light": "var(--color-base-900)",
        "important-dark": "var(--color-base-100)",
    },
}

FOREIGN_APPS: Final = frozenset({"auth", "guardian", "otp_static", "otp_totp"})

CONFIG: Final[dict[str, Any]] = {
    "SITE_TITLE": "Merchantry",
    "SITE_HEADER": "Merchantry",
    "SITE_SUBHEADER": "Platform console",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": "/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/mark.svg")}
    ],
}


def _may_open(request: HttpRequest, name: str) -> bool:
    """Whether a list is open to the person; pages that are no list are everybody's."""
    for model, page in admin.site._registry.items():
        if name == f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist":
            return bool(page.has_view_permission(request))
    return True


def _navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, without the lists that this person may not open.

    The entry of this page is the one whose address is the longest beginning of the page's: unfold
    alone would mark the accounts on the trial balance too.
    """
    links = {reverse(name) for _, entries in NAVIGATION for *_, name in entries}
    home = reverse("admin:index")
    above = [link for link in links - {home} if request.path.startswith(link)]
    here = max(above, key=len, default=request.path)
    groups = []
    for title, entries in NAVIGATION:
        items = []
        for label, icon, name in entries:
            if _may_open(request, name):
                link = reverse(name)
                items.append({"title": label, "icon": icon, "link": link, "active": link == here})
        if items:
            groups.append({"title": title, "separator": bool(title), "items": items})
    return groups


class MerchantryAdminSite(UnfoldAdminSite):
    """The admin site, open only to active staff with a verified second factor."""

    site_title = "Merchantry"
    site_header = "Merchantry"
    index_title = "Overview"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the middleware found a platform seat with a second factor."""
        actor = ACTOR.find(request)
        return actor is not None and "platform.staff" in actor.scopes

    def get_urls(self) -> list[Any]:
        """All but `r/`, which leads from any row of any table to its page on another site."""
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send visitors to the one login page; who is logged in but not staff gets 403 there."""
        target = asked_address(request, request.get_full_path())
        return redirect(with_next(reverse("login"), target))

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One logout for both faces."""
        return redirect(reverse("logout"))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's own form would go around our service: a new password comes by a mailed link."""
        return redirect(reverse("password-reset"))

    def password_change_done(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As `password_change`."""
        return redirect(reverse("password-reset"))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The overview: what waits for staff, and what was done last."""
        from core.models import AuditRecord
        from tenants.selectors import platform_figures

        shown = {
            "figures": platform_figures(),
            "recent": AuditRecord.objects.order_by("-id")[:12],
        }
        page: TemplateResponse = super().index(request, {**shown, **(extra_context or {})})
        return page

    def _get_config(self, key: str, *args: Any) -> Any:
        if key in CONFIG:
            return CONFIG[key]
        found = super()._get_config(key, *args)
        if key == "SIDEBAR":
            return {**(found or {}), "show_search": True, "navigation": _navigation}
        if key == "COLORS":
            return {**found, **{name: dict(steps) for name, steps in COLORS.items()}}
        return found


class MerchantryAdminConfig(SimpleAdminConfig):
    """Takes the place of ``django.contrib.admin`` in INSTALLED_APPS."""

    default_site = "config.admin.MerchantryAdminSite"

    def ready(self) -> None:
        """Put our site where ``admin.register`` and the URL configuration look for it."""
        super().ready()
        site = MerchantryAdminSite()
        admin.site = site
        sites.site = site
        admin.autodiscover()
        # Frameworks bring pages that would go around our services and permissions.
        for model in list(site._registry):
            if model._meta.app_label in FOREIGN_APPS:
                site.unregister(model)
