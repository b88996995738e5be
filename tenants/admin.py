"""The platform's staff look at tenants and people; what they change goes through services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from core.admin import ReadOnlyAdmin, actor_of, allowed, display, staff_action
from tenants import second_factor
from tenants.models import (
    ApiKey,
    Invitation,
    MachineClient,
    Membership,
    Merchant,
    Platform,
    Reseller,
    ServiceCaller,
    TenantStatus,
    User,
)
from tenants.selectors import api_key_status
from tenants.services import merchants, sessions

STATUS_COLOURS: dict[str, str] = {
    TenantStatus.ACTIVE.value: "success",
    TenantStatus.PENDING.value: "info",
    TenantStatus.SUSPENDED.value: "warning",
    TenantStatus.CLOSED.value: "danger",
}


class StatusActions(ReadOnlyAdmin):
    """Activate and suspend, for compliance."""

    actions_detail = ("activate", "suspend")

    def has_status_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Compliance decides who may trade."""
        return allowed(request, "platform.tenants.write")

    @staff_action(
        "Activate",
        permission="status",
        question="The tenant takes live payments at once.",
        icon="check_circle",
    )
    def activate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the tenant take live payments."""
        row = self.found(request, object_id)
        merchants.tenant_set_status(actor=actor_of(request), tenant=row, status="active")
        return self.done(request, object_id, f"{row.name} is active.")

    @staff_action(
        "Suspend",
        permission="status",
        question="Live payments stop until compliance activates the tenant again.",
        icon="block",
    )
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop live payments until compliance activates the tenant again."""
        row = self.found(request, object_id)
        merchants.tenant_set_status(actor=actor_of(request), tenant=row, status="suspended")
        return self.done(request, object_id, f"{row.name} is suspended.")

    @display(description="Status", label=STATUS_COLOURS)
    def shown_status(self, row: Merchant | Reseller) -> str:
        """The status as a coloured word."""
        return row.status


@admin.register(Platform)
class PlatformAdmin(ReadOnlyAdmin):
    """The operator of this installation."""

    list_display = ("name", "public_id", "created_at")


@admin.register(Reseller)
class ResellerAdmin(StatusActions):
    """Partners that sign up merchants."""

    list_display = ("name", "shown_status", "country", "public_id", "created_at")
    list_filter = ("status", "country")
    search_fields = ("name", "legal_name", "=id")
    ordering = ("-id",)


@admin.register(Merchant)
class MerchantAdmin(StatusActions):
    """Businesses that take payments."""

    list_display = ("name", "shown_status", "reseller", "country", "default_currency", "public_id")
    list_filter = ("status", "country", "default_currency", "reseller")
    list_select_related = ("reseller",)
    search_fields = ("name", "legal_name", "=id")
    ordering = ("-id",)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People; never their passwords."""

    list_display = ("email", "name", "is_active", "is_staff", "last_login", "created_at")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)
    fields = ("email", "name", "is_active", "is_staff", "last_login", "created_at", "belongs_to")
    readonly_fields = ("created_at", "belongs_to")
    actions_detail = ("send_reset", "reset_second_factor", "toggle_active")

    def has_people_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Support and compliance help people in and keep them out."""
        return allowed(request, "platform.users.write")

    @display(description="Member of")
    def belongs_to(self, row: User) -> str:
        """The tenants, with the role in each."""
        rows = Membership.objects.select_related("merchant", "reseller", "platform").filter(
            user=row
        )
        shown = []
        for membership in rows:
            tenant = membership.merchant or membership.reseller or membership.platform
            shown.append(f"{tenant} ({membership.role})")
        return ", ".join(shown) or "—"

    @staff_action(
        "Send a reset link",
        permission="people",
        question="The person gets a mail with a link for a new password.",
        icon="mail",
    )
    def send_reset(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mail the person a link for a new password."""
        row = self.found(request, object_id)
        sessions.password_reset_send(actor=actor_of(request), user=row)
        return self.done(request, object_id, f"A link is on its way to {row.email}.")

    @staff_action(
        "Reset second factor",
        permission="people",
        question="Check first who asks. Authenticator and recovery codes are deleted.",
        icon="phonelink_erase",
    )
    def reset_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the authenticator away, after checking who asks."""
        row = self.found(request, object_id)
        second_factor.second_factor_reset(user=row, actor=actor_of(request))
        return self.done(request, object_id, f"{row.email} enrols a new authenticator next.")

    @staff_action(
        "Deactivate or activate",
        permission="people",
        question="A deactivated person is out with the next request, an activated one back in.",
        icon="person_off",
    )
    def toggle_active(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep the person out, or let them in again."""
        row = self.found(request, object_id)
        merchants.user_set_active(actor=actor_of(request), user=row, active=not row.is_active)
        word = "active" if row.is_active else "deactivated"
        return self.done(request, object_id, f"{row.email} is {word}.")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Who sits where."""

    list_display = ("user", "role", "level", "merchant", "reseller", "only_granted", "created_at")
    list_filter = ("level", "role", "only_granted")
    list_select_related = ("user", "merchant", "reseller")
    search_fields = ("user__email", "merchant__name", "reseller__name")
    ordering = ("-id",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Offers of membership; the links are not kept."""

    list_display = ("email", "role", "level", "merchant", "reseller", "expires_at", "accepted_at")
    list_filter = ("level", "role")
    list_select_related = ("merchant", "reseller")
    search_fields = ("email",)
    exclude = ("token_digest", "pepper_version")
    ordering = ("-id",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys by their last four characters; digests stay in the database."""

    list_display = ("name", "kind", "livemode", "hint", "state", "merchant_id", "last_used_at")
    list_filter = ("kind", "livemode", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "=lookup_id", "=merchant_id")
    exclude = ("digest", "pepper_version", "publishable_text")
    ordering = ("-id",)

    @display(description="State", label={"active": "success", "revoked": "danger"})
    def state(self, row: ApiKey) -> str:
        """Active, expiring, expired or revoked."""
        return api_key_status(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """Without the digests."""
        found: QuerySet[ApiKey] = super().get_queryset(request)
        return found.defer("digest")


@admin.register(MachineClient)
class MachineClientAdmin(ReadOnlyAdmin):
    """Programs with client credentials."""

    list_display = ("name", "client_id", "livemode", "merchant_id", "expires_at", "revoked_at")
    list_filter = ("livemode",)
    search_fields = ("name", "=client_id", "=merchant_id")
    exclude = ("digest", "pepper_version")
    ordering = ("-id",)


@admin.register(ServiceCaller)
class ServiceCallerAdmin(ReadOnlyAdmin):
    """Trusted services that sign their requests."""

    list_display = ("name", "key_id", "livemode", "merchant_id", "revoked_at", "created_at")
    list_filter = ("livemode",)
    search_fields = ("name", "=key_id")
    exclude = ("secret_sealed",)
    ordering = ("-id",)
