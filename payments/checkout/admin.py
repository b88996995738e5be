"""Checkout sessions for the platform's staff: to look at, never to change."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from core.admin import STAFF, ReadOnlyAdmin, allowed, display, pretty_json
from core.money import format_money
from payments.checkout.models import CheckoutAttempt, CheckoutSession
from payments.checkout.selectors import effective_status
from payments.checkout.states import SessionStatus

STATUS_COLOURS: dict[str, str] = {
    SessionStatus.OPEN.value: "info",
    SessionStatus.PROCESSING.value: "warning",
    SessionStatus.COMPLETE.value: "success",
    SessionStatus.EXPIRED.value: "danger",
}


class AttemptInline(TabularInline):
    """The tries to pay a session, oldest first."""

    model = CheckoutAttempt
    extra = 0
    fields = ("payment", "payment_status", "created_at")
    readonly_fields = fields
    ordering = ("id",)
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the session itself."""
        return allowed(request, STAFF)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a payer makes attempts."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    @admin.display(description="Status")
    def payment_status(self, row: CheckoutAttempt) -> str:
        """What became of it."""
        return str(row.payment.status)


@admin.register(CheckoutSession)
class CheckoutSessionAdmin(ReadOnlyAdmin):
    """What payers were asked to pay. The page's secret is not kept: staff cannot open the page."""

    list_display = ("public_id", "shown_status", "shown_amount", "reference", "livemode", "expires")
    list_filter = ("status", "livemode", "created_at")
    id_columns: ClassVar = {
        "cs": "pk",
        "pay": "attempts__payment_id",
        "cus": "customer_id",
        "mer": "merchant_id",
    }
    uuid_columns = ()
    search_help_text = "An id (cs_…, pay_…, cus_…, mer_…), or the merchant's reference"
    ordering = ("-id",)
    inlines = (AttemptInline,)
    fields = (
        "public_id",
        "shown_status",
        "shown_amount",
        "description",
        "reference",
        "payment",
        "customer",
        "manual_capture",
        "success_url",
        "cancel_url",
        "shown_metadata",
        "merchant_id",
        "reseller_id",
        "livemode",
        "created_at",
        "expires_at",
        "completed_at",
        "canceled_at",
    )
    readonly_fields = ("public_id", "shown_status", "shown_amount", "shown_metadata")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CheckoutSession]:
        """With the payment that the page names."""
        found: QuerySet[CheckoutSession] = super().get_queryset(request)
        return found.select_related("payment", "customer")

    def matching(
        self, request: HttpRequest, queryset: QuerySet[CheckoutSession], text: str
    ) -> QuerySet[CheckoutSession]:
        """By the merchant's reference, in whole."""
        return queryset.filter(reference=text)

    @display(description="Status", label=STATUS_COLOURS)
    def shown_status(self, row: CheckoutSession) -> str:
        """The status now, also where the sweep has not been yet."""
        return effective_status(row)

    @admin.display(description="Amount")
    def shown_amount(self, row: CheckoutSession) -> str:
        """As people of the currency write it."""
        return format_money(row.amount_minor, row.currency)

    @admin.display(description="Expires", ordering="expires_at")
    def expires(self, row: CheckoutSession) -> Any:
        """When the page stops taking payments."""
        return row.expires_at

    @admin.display(description="Metadata")
    def shown_metadata(self, row: CheckoutSession) -> str:
        """The merchant's own pairs."""
        return pretty_json(row.metadata)
