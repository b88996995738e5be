"""Intents for the platform's staff: read-only, with the exceptions inbox and "ask the provider"."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from core.admin import Operated, actor_of, display, pretty_json, staff_action
from core.admin_filters import by_merchant
from core.admin_forms import LongText, StaffForm, staff_form
from core.money import format_money
from payments.intents.models import Intent
from payments.intents.services.exceptions import exception_resolve
from payments.intents.services.recovery import request_check
from payments.intents.states import FINAL, IntentState
from tenants.admin.columns import OfMerchantAdmin

_COLOURS: dict[str, str] = {
    IntentState.SETTLED: "success",
    IntentState.AUTHORIZED: "info",
    IntentState.VALIDATED: "info",
    IntentState.FAILED: "danger",
    IntentState.CANCELED: "warning",
    IntentState.EXPIRED: "warning",
}


class NoteForm(StaffForm):
    """How an exception was put right."""

    note = LongText(
        max_length=500,
        label="What you found and did",
        help_text="It is kept with the attempt and in the audit log.",
    )


class ExceptionFilter(admin.SimpleListFilter):
    """The exceptions inbox: attempts that only a person can bring to their end."""

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
class IntentAdmin(Operated, OfMerchantAdmin):
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
    id_columns: ClassVar = {
        "int": "pk",
        "pay": "document_id",
        "ref": "document_id",
        "mer": "merchant_id",
    }
    # A provider's own id may be a bare UUID.
    uuid_columns = ()
    search_help_text = (
        "An intent's id (int_…), a payment's or refund's (pay_…, ref_…), a merchant's (mer_…), or "
        "the provider's own id"
    )
    ordering = ("-id",)
    exclude = ("card", "tags", "source", "about", "exceptions")
    readonly_fields = ("shown_exceptions", "shown_card", "shown_tags")
    actions_detail: ClassVar = ["ask_provider", "resolve"]

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

    @display(description="Exceptions")
    def shown_exceptions(self, row: Intent) -> str:
        return pretty_json(row.exceptions or None)

    def matching(
        self, request: HttpRequest, queryset: QuerySet[Intent], text: str
    ) -> QuerySet[Intent]:
        return queryset.filter(external_id=text)

    @staff_action(
        "Ask the provider",
        permission="operate",
        question="The provider is asked, with our reference, what became of this attempt; its "
        "answer is booked. Nothing is charged again. An attempt that is over stays as it is: if "
        "the provider contradicts it, it comes into the exceptions inbox.",
        icon="sync",
    )
    def ask_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Intent = self.found(request, object_id)
        request_check(row.id)
        said = "Asked. Reload in a few seconds."
        if row.state in FINAL:
            said += (
                f" The attempt is {row.state} and stays so; if the provider says otherwise, the "
                "exceptions below name it."
            )
        return self.done(request, object_id, said)

    @staff_form(
        "Mark as resolved",
        permission="operate",
        form=NoteForm,
        text="The attempt leaves the exceptions inbox. Its state and the books stay as they are: "
        "book what is missing first.",
        icon="task_alt",
    )
    def resolve(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        exception_resolve(intent_id=UUID(object_id), note=given["note"], actor=actor_of(request))
        return self.done(request, object_id, "Resolved: it is out of the exceptions inbox.")
