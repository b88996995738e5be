"""The platform's staff look at tenants and people; what they change goes through services."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from core import errors, ids
from core.admin import (
    Operated,
    ReadOnlyAdmin,
    SelectedActions,
    actor_of,
    allowed,
    display,
    staff_action,
)
from core.admin_filters import by_country, typed
from core.admin_forms import FormView, ReasonForm, StaffForm, show_once, staff_form
from tenants import selectors
from tenants.models import (
    ApiKey,
    Invitation,
    MachineClient,
    Merchant,
    Platform,
    Reseller,
    ServiceCaller,
    TenantStatus,
)
from tenants.models.tree import TENANT_MOVES
from tenants.selectors import api_key_status
from tenants.services import api_keys, merchants, sign_up, standing

STATUS_COLOURS: dict[str, str] = {
    TenantStatus.ACTIVE.value: "success",
    TenantStatus.PENDING.value: "info",
    TenantStatus.SUSPENDED.value: "warning",
    TenantStatus.CLOSED.value: "danger",
}

by_reseller = typed(
    "reseller_id",
    read=lambda text: ids.decode(Reseller.PREFIX, text),
    title="reseller ID (res_…)",
)


class OwnerForm(StaffForm):
    """The first owner of a tenant."""

    email = forms.EmailField(
        label="E-mail address of the first owner",
        max_length=254,
        help_text="Gets an invitation that is good for seven days.",
    )


class ResellerForm(StaffForm):
    """A reseller to sign up, and who is to own it."""

    platform = forms.ModelChoiceField(queryset=Platform.objects.none(), label="Platform")
    name = forms.CharField(label="Name", max_length=120)
    legal_name = forms.CharField(label="Legal name", max_length=200, required=False)
    country = forms.CharField(
        label="Country", min_length=2, max_length=2, help_text="Two letters (ISO 3166-1): US, DE."
    )
    owner_email = forms.EmailField(label="E-mail address of the first owner", max_length=254)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        platforms = cast("forms.ModelChoiceField[Platform]", self.fields["platform"])
        platforms.queryset = Platform.objects.order_by("id")
        # Nearly every installation has this one alone.
        platforms.initial = platforms.queryset.first()


class IdentityForm(StaffForm):
    """Who a merchant is by law."""

    legal_name = forms.CharField(label="Legal name", max_length=200)
    country = forms.CharField(
        label="Country", min_length=2, max_length=2, help_text="Two letters (ISO 3166-1): US, DE."
    )


class FeesForm(StaffForm):
    """What a merchant pays for a captured payment."""

    fee_bps = forms.IntegerField(
        label="Fee in basis points", min_value=0, max_value=10_000, help_text="290 is 2.9 %."
    )
    fee_fixed_minor = forms.IntegerField(
        label="Fixed fee in minor units",
        min_value=0,
        max_value=1_000_000_000,
        help_text="Of the merchant's own currency; only on payments in that currency.",
    )
    reseller_share_bps = forms.IntegerField(
        label="The reseller's share of the fee in basis points",
        min_value=0,
        max_value=10_000,
        help_text="2000 is a fifth of the fee.",
    )


class ServiceCallerForm(StaffForm):
    """A service to trust."""

    name = forms.CharField(label="Name", max_length=120)
    merchant = forms.CharField(
        label="Merchant",
        max_length=40,
        required=False,
        help_text="mer_…: it may act for this merchant alone. Empty: the request names one.",
    )
    livemode = forms.BooleanField(label="Live mode: moves real money", required=False)

    def clean_merchant(self) -> UUID | None:
        """The merchant's id."""
        text = self.cleaned_data["merchant"].strip()
        try:
            return ids.decode(Merchant.PREFIX, text) if text else None
        except errors.AppError as error:
            raise forms.ValidationError("Copy the whole id of a merchant, mer_….") from error


def _sets_status(status: str, title: str, *, text: str, icon: str) -> FormView:
    """An action of `StatusActions` that gives a tenant another status."""

    @staff_form(title, permission="status", form=ReasonForm, text=text, icon=icon)
    def set_status(
        self: ReadOnlyAdmin, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        waits = standing.tenant_set_status(
            actor=actor_of(request), status=status, reason=given["reason"], **_named(row)
        )
        said = f"{row.name} is {status}."
        if waits is not None:
            said = f"{waits.public_id} waits for a second person, under Changes to tenants."
        return self.done(request, object_id, said)

    return set_status


def _named(row: Any) -> dict[str, UUID]:
    """The tenant's id, under the name that services know it by."""
    return {"merchant_id" if isinstance(row, Merchant) else "reseller_id": row.id}


class StatusActions(SelectedActions):
    """Activate, suspend, close and give a first owner, for compliance."""

    actions_detail: ClassVar[tuple[str, ...]] = ("activate", "suspend", "close", "invite_owner")

    def has_status_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Compliance decides who may trade."""
        return allowed(request, "platform.tenants.write")

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """The statuses that may follow the tenant's own, and what does not depend on it."""
        moves = {TenantStatus.ACTIVE: "activate", TenantStatus.SUSPENDED: "suspend"}
        moves[TenantStatus.CLOSED] = "close"
        shut = {name for status, name in moves.items() if status not in TENANT_MOVES[row.status]}
        return [name for name in self.actions_detail if name not in shut]

    activate = _sets_status(
        "active",
        "Activate",
        text="A second person has to confirm it; then the tenant takes live payments at once.",
        icon="check_circle",
    )
    suspend = _sets_status(
        "suspended",
        "Suspend",
        text="Live payments stop until compliance activates the tenant again.",
        icon="block",
    )
    close = _sets_status(
        "closed",
        "Close permanently",
        text="Its keys and its people are refused at once. A closed tenant stays closed.",
        icon="cancel",
    )

    @staff_form(
        "Invite the first owner",
        permission="status",
        form=OwnerForm,
        text="Only where there is no owner yet: owners name all others themselves.",
        icon="person_add",
    )
    def invite_owner(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Send the invitation of the first owner."""
        row = self.found(request, object_id)
        sign_up.owner_invite(actor=actor_of(request), email=given["email"], **_named(row))
        return self.done(request, object_id, f"The invitation to {given['email']} is on its way.")

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
    list_filter = ("status", by_country)
    id_columns: ClassVar = {Reseller.PREFIX: "pk"}
    search_fields = ("name", "legal_name")
    search_help_text = "A reseller's id (res_…) or a part of its name"
    ordering = ("-id",)
    actions_list = ("sign_up",)

    @staff_form(
        "Sign up a reseller",
        permission="status",
        form=ResellerForm,
        text="It is active at once; its owner gets an invitation by mail.",
        icon="add_business",
    )
    def sign_up(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Make a reseller and invite its first owner."""
        platform: Platform = given.pop("platform")
        row = sign_up.reseller_sign_up(actor=actor_of(request), platform_id=platform.id, **given)
        return self.done(request, row.pk, f"{row.name} is signed up, its owner is invited.")


@admin.register(Merchant)
class MerchantAdmin(StatusActions):
    """Businesses that take payments."""

    list_display = ("name", "shown_status", "reseller", "country", "default_currency", "public_id")
    list_filter = ("status", by_country, typed("default_currency", read=str.upper), by_reseller)
    list_select_related = ("reseller",)
    id_columns: ClassVar = {Merchant.PREFIX: "pk", Reseller.PREFIX: "reseller_id"}
    search_fields = ("name", "legal_name")
    search_help_text = "An id (mer_…, res_…) or a part of the name"
    ordering = ("-id",)
    actions_detail = (*StatusActions.actions_detail, "correct", "set_fees")
    readonly_fields = ("needed_for_live",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """What is missing comes first."""
        found = super().get_fields(request, obj)
        return ["needed_for_live", *(name for name in found if name != "needed_for_live")]

    @display(description="Needed for live payments")
    def needed_for_live(self, row: Merchant) -> SafeString:
        """What is there, and what to do about the rest."""
        return format_html_join(
            mark_safe("<br>"),
            "{} {}{}",
            (
                ("✓" if each.met else "✗", each.label, "" if each.met else f": {each.what_to_do}")
                for each in selectors.needed_for_live(row)
            ),
        )

    @staff_form(
        "Correct details",
        permission="status",
        form=IdentityForm,
        text="Who the merchant is by law, as its documents say.",
        initial=lambda row: {"legal_name": row.legal_name, "country": row.country},
        icon="edit",
    )
    def correct(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Correct legal name and country."""
        row = self.found(request, object_id)
        merchants.merchant_identify(actor=actor_of(request), merchant_id=row.id, **given)
        return self.done(request, object_id, f"The details of {row.name} are corrected.")

    def has_money_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Finance prices merchants."""
        return allowed(request, "platform.money.write")

    @staff_form(
        "Set fees",
        permission="money",
        form=FeesForm,
        text="Payments that are captured from now on pay them.",
        initial=lambda row: {name: getattr(row, name) for name in FeesForm.base_fields},
        icon="percent",
    )
    def set_fees(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Price the merchant."""
        row = self.found(request, object_id)
        merchants.merchant_set_fees(actor=actor_of(request), merchant_id=row.id, **given)
        return self.done(request, object_id, f"The fees of {row.name} are set.")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Offers of membership; the links are not kept."""

    list_display = ("email", "role", "level", "merchant", "reseller", "expires_at", "accepted_at")
    list_filter = ("level", "role")
    list_select_related = ("merchant", "reseller")
    id_columns: ClassVar = {
        Invitation.PREFIX: "pk",
        Merchant.PREFIX: "merchant_id",
        Reseller.PREFIX: "reseller_id",
    }
    search_fields = ("email",)
    search_help_text = "An id (inv_…, mer_…, res_…) or a part of the e-mail address"
    exclude = ("token_digest", "pepper_version")
    ordering = ("-id",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys by their last four characters; digests stay in the database."""

    list_display = ("name", "kind", "livemode", "hint", "state", "merchant_id", "last_used_at")
    list_filter = ("kind", "livemode", ("revoked_at", admin.EmptyFieldListFilter))
    id_columns: ClassVar = {ApiKey.PREFIX: "pk", Merchant.PREFIX: "merchant_id"}
    search_fields = ("name", "lookup_id__exact")
    search_help_text = "An id (key_…, mer_…), a key's own part, or a part of its name"
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
    id_columns: ClassVar = {MachineClient.PREFIX: "pk", Merchant.PREFIX: "merchant_id"}
    search_fields = ("name", "client_id__exact")
    search_help_text = "An id (mcl_…, mer_…), a client id, or a part of its name"
    exclude = ("digest", "pepper_version")
    ordering = ("-id",)


@admin.register(ServiceCaller)
class ServiceCallerAdmin(Operated, ReadOnlyAdmin):
    """Trusted services that sign their requests."""

    list_display = ("name", "key_id", "livemode", "merchant_id", "revoked_at", "created_at")
    list_filter = ("livemode",)
    id_columns: ClassVar = {ServiceCaller.PREFIX: "pk", Merchant.PREFIX: "merchant_id"}
    search_fields = ("name", "key_id__exact")
    search_help_text = "An id (svc_…, mer_…), a key id, or a part of its name"
    exclude = ("secret_sealed",)
    ordering = ("-id",)
    actions_list = ("create",)
    actions_detail = ("revoke",)

    @staff_form(
        "Create a service caller",
        permission="operate",
        form=ServiceCallerForm,
        text="A trusted service that signs its requests (POST /v1/intents).",
        icon="add",
    )
    def create(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Make a caller and show its secret, this once."""
        row, secret = api_keys.service_caller_create(
            actor=actor_of(request),
            name=given["name"],
            livemode=given["livemode"],
            merchant_id=given["merchant"],
        )
        return show_once(
            self,
            request,
            title=f"{row.name}: copy the secret now",
            text="It is not shown again. If it is lost, revoke this caller and make another one.",
            values={"Key id": row.key_id, "Secret": secret},
            back=reverse("admin:tenants_servicecaller_change", args=[row.pk]),
        )

    @staff_action(
        "Revoke",
        permission="operate",
        question="The service is refused with its next request. This cannot be undone.",
        icon="block",
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End the caller."""
        row = self.found(request, object_id)
        api_keys.service_caller_revoke(actor=actor_of(request), caller_id=row.id)
        return self.done(request, object_id, f"{row.name} is revoked.")
