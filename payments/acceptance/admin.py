"""Payments, refunds and customers for the platform's staff: read-only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import ids
from core.admin import ReadOnlyAdmin, display, pretty_json
from core.errors import NotFound
from core.money import format_money
from payments.acceptance.models import Customer, Payment, Refund
from payments.acceptance.selectors import payment_events, payment_ledger
from payments.acceptance.states import PaymentStatus, RefundStatus

_COLOURS: dict[str, str] = {
    PaymentStatus.COMPLETED: "success",
    PaymentStatus.PROCESSING: "info",
    PaymentStatus.REQUIRES_ACTION: "warning",
    PaymentStatus.FAILED: "danger",
    PaymentStatus.CANCELED: "warning",
    PaymentStatus.PENDING: "info",
}


class _ByPublicId(ReadOnlyAdmin):
    """Searches by the public id besides the plain columns."""

    prefix = ""
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        try:
            wanted: UUID = ids.decode(self.prefix, search_term.strip())
        except NotFound:
            found: tuple[QuerySet[Any], bool] = super().get_search_results(
                request, queryset, search_term
            )
            return found
        return queryset.filter(pk=wanted), False

    @display(description="Id")
    def shown_id(self, row: Any) -> str:
        return str(row.public_id)

    @display(description="Amount")
    def amount(self, row: Any) -> str:
        return format_money(row.amount_minor, row.currency)


@admin.register(Payment)
class PaymentAdmin(_ByPublicId):
    """A payment with its history and its ledger lines."""

    prefix = "pay"
    list_display = (
        "shown_id",
        "shown_status",
        "amount",
        "last4",
        "channel",
        "livemode",
        "created_at",
    )
    list_filter = ("status", "livemode", "currency", "channel", "created_at")
    search_fields = ("=reference", "=last4")
    search_help_text = (
        "A payment's id (pay_…), the merchant's reference, or the card's last four digits"
    )
    exclude = ("token", "card", "metadata", "next_action_url", "return_url")
    readonly_fields = ("shown_card", "shown_metadata", "history", "ledger_lines")

    @display(description="Status", label=_COLOURS)
    def shown_status(self, row: Payment) -> str:
        return row.status

    @display(description="Card")
    def shown_card(self, row: Payment) -> SafeString:
        return pretty_json(row.card or None)

    @display(description="Metadata")
    def shown_metadata(self, row: Payment) -> SafeString:
        return pretty_json(row.metadata or None)

    @display(description="History")
    def history(self, row: Payment) -> SafeString:
        events = payment_events(payment_id=row.id)
        return format_html(
            "<ol>{}</ol>",
            format_html_join(
                "",
                "<li>{} · <strong>{}</strong> · {} {}</li>",
                (
                    (f"{e.created_at:%Y-%m-%d %H:%M:%S}", e.type, e.actor_label, e.message)
                    for e in events
                ),
            ),
        )

    @display(description="Ledger")
    def ledger_lines(self, row: Payment) -> SafeString:
        return format_html(
            "<ol>{}</ol>",
            format_html_join(
                "",
                "<li>{} → {} · <strong>{}</strong> · {} · {}</li>",
                (
                    (
                        line.debit_account,
                        line.credit_account,
                        format_money(line.amount_minor, line.currency),
                        line.code,
                        line.state,
                    )
                    for line in payment_ledger(row)
                ),
            ),
        )


@admin.register(Refund)
class RefundAdmin(_ByPublicId):
    """A refund."""

    prefix = "ref"
    list_display = ("shown_id", "shown_status", "amount", "reason", "livemode", "created_at")
    list_filter = ("status", "livemode", "currency", "created_at")
    search_fields = ("=reason",)

    @display(
        description="Status",
        label={
            RefundStatus.COMPLETED: "success",
            RefundStatus.PROCESSING: "info",
            RefundStatus.FAILED: "danger",
        },
    )
    def shown_status(self, row: Refund) -> str:
        return row.status


@admin.register(Customer)
class CustomerAdmin(_ByPublicId):
    """A merchant's customer."""

    prefix = "cus"
    list_display = ("shown_id", "reference", "livemode", "created_at")
    list_filter = ("livemode", "created_at")
    search_fields = ("=reference",)
    exclude = ("metadata",)
