"""Intents for the platform's staff: read-only, with the exceptions inbox and "ask the provider"."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from core.admin import allowed, display, pretty_json, staff_action
from core.admin_filters import by_merchant, narrowed_by_ids
from core.money import format_money
from payments.intents.models import Intent
from payments.intents.recovery import request_check
from payments.intents.states import FINAL, IntentState
from tenants.admin_columns import OfMerchantAdmin

_COLOURS: dict[str, str] = {
    IntentState.SETTLED: "success",
    IntentState.AUTHORIZED: "info",
    IntentState.VALIDATED: "info",
    IntentState.FAILED: "danger",
    IntentState.CANCELLED: "warning",
    IntentState.EXPIRED: "warning",
}


class ExceptionFilter(admin.SimpleListFilter):
    """The exceptions inbox: attempts that nobody but a person can bring to their end."""

    title = "needs a person"
    parameter_name = "exception"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Exceptions inbox"), ("open", "Still open")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Intent]) -> QuerySet[Intent]:
        if self.value() == "yes":
            return queryset.filter(exception_at__isnull=False)
        if self.value() == "open":
            return queryset.exclude(state__in=FINAL)
        return queryset


@admin.register(Intent)
class IntentAdmin(OfMerchantAdmin):
    """One attempt to move money, with everything that the saga knows of it."""

    list_display = (
        "shown_id",
        "merchant",
        "operation",
        "shown_state",
        "step",
        "amount",
        "livemode",
        "created_at",
    )
    list_filter = (ExceptionFilter, "operation", "state", "livemode", by_merchant, "created_at")
    search_fields = ("external_id__exact",)
    search_help_text = (
        "An intent's id (int_…), a payment's or refund's (pay_…, ref_…), a merchant's (mer_…), or "
        "the provider's own id"
    )
    ordering = ("-id",)
    exclude = ("card", "tags", "source")
    readonly_fields = ("shown_card", "shown_tags")
    actions_detail: ClassVar = ["ask_provider"]

    @display(description="Id")
    def shown_id(self, row: Intent) -> str:
        return row.public_id

    @display(description="State", label=_COLOURS)
    def shown_state(self, row: Intent) -> str:
        return row.state

    @display(description="Amount")
    def amount(self, row: Intent) -> str:
        return format_money(row.amount_minor, row.currency)

    @display(description="Card")
    def shown_card(self, row: Intent) -> str:
        return pretty_json(row.card or None)

    @display(description="Tags")
    def shown_tags(self, row: Intent) -> str:
        return pretty_json(row.tags or None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Intent], search_term: str
    ) -> tuple[QuerySet[Intent], bool]:
        """By any id that people paste."""
        lookups = {
            "int": "pk",
            "pay": "document_id",
            "ref": "document_id",
            "mer": "merchant_id",
        }
        queryset, rest = narrowed_by_ids(queryset, search_term, lookups)
        found: tuple[QuerySet[Intent], bool] = super().get_search_results(request, queryset, rest)
        return found

    @staff_action(
        "Ask the provider",
        permission="operate",
        question="The provider is asked, with our reference, what became of this attempt; its "
        "answer is booked. Nothing is charged anew.",
        icon="sync",
    )
    def ask_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        request_check(UUID(object_id))
        return self.done(request, object_id, "Asked. Reload in a few seconds.")

    def has_operate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return allowed(request, "platform.operations.write")
