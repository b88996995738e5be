"""Changes to tenants that wait for a second person, and those that were decided."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin import SelectedActions, actor_of, allowed, display, staff_action
from tenants.admin.tenants import STATUS_COLOURS
from tenants.models import Merchant, Reseller, TenantChange
from tenants.services import standing


@admin.register(TenantChange)
class TenantChangeAdmin(SelectedActions):
    """Who proposed which status of which tenant, why, and who decided."""

    list_display = ("created_at", "tenant", "shown_status", "proposed_by", "shown_state")
    list_filter = ("state", "status")
    list_select_related = ("merchant", "reseller", "proposed_by")
    id_columns: ClassVar = {
        TenantChange.PREFIX: "pk",
        Merchant.PREFIX: "merchant_id",
        Reseller.PREFIX: "reseller_id",
    }
    search_fields = ("reason",)
    search_help_text = "An id (tch_…, mer_…, res_…), or words of a reason"
    ordering = ("-id",)
    actions_detail = ("confirm", "reject")
    fields = (
        "merchant",
        "reseller",
        "shown_status",
        "reason",
        "shown_state",
        "proposed_by",
        "created_at",
        "expires_at",
        "decided_by",
        "decided_at",
    )
    readonly_fields = ("created_at",)

    def has_confirm_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Staff; which of them is a second person, the service knows."""
        return allowed(request, "platform.users.confirm")

    def get_queryset(self, request: HttpRequest) -> QuerySet[TenantChange]:
        """With the people, without the hashes of their passwords."""
        people = ("proposed_by", "decided_by")
        rows: QuerySet[TenantChange] = super().get_queryset(request)
        return rows.select_related("merchant", "reseller", *people).defer(
            *(f"{name}__password" for name in people)
        )

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """What this person may decide."""
        if row.state != TenantChange.State.PROPOSED:
            return ()
        actor = actor_of(request)
        if standing.may_confirm(actor, row):
            return ("confirm", "reject") if row.expires_at > timezone.now() else ("reject",)
        return ("reject",) if actor.user_id == row.proposed_by_id else ()

    def about(self, row: Any) -> SafeString:
        """All that the second person has to weigh."""
        return format_html(
            "{} asks: {} becomes {}. Reason: {}",
            row.proposed_by.email,
            row.tenant.name,
            row.status,
            row.reason,
        )

    @staff_action(
        "Confirm", permission="confirm", question="The change happens at once.", icon="check"
    )
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it happen."""
        row = standing.tenant_change_confirm(actor=actor_of(request), change_id=UUID(object_id))
        return self.done(request, object_id, f"{row.tenant.name} is {row.status}.")

    @staff_action("Reject", permission="confirm", question="The proposal is closed, nothing else.")
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close it, or take it back."""
        row = standing.tenant_change_reject(actor=actor_of(request), change_id=UUID(object_id))
        return self.done(request, object_id, f"{row.public_id} is closed.")

    @display(description="Becomes", label=STATUS_COLOURS)
    def shown_status(self, row: TenantChange) -> str:
        """The status as a coloured word."""
        return row.status

    @display(
        description="State",
        label={"proposed": "warning", "confirmed": "success", "rejected": "danger"},
    )
    def shown_state(self, row: TenantChange) -> str:
        """The state as a coloured word; one that waited for too long says so."""
        waits = row.state == TenantChange.State.PROPOSED
        return "expired" if waits and row.expires_at <= timezone.now() else row.state
