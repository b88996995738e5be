"""Payments, refunds and customers for the platform's staff: read-only."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core import ids
from core.admin import display, pretty_json
from core.admin_filters import by_currency, by_merchant, one_of
from core.money import format_money
from payments.acceptance.models import Customer, Payment, Refund
from payments.acceptance.selectors import payment_events, payment_ledger, payment_search
from payments.acceptance.states import SALES_CHANNELS, PaymentStatus, RefundStatus
from tenants.admin.columns import OfMerchantAdmin

_COLOURS: dict[str, str] = {
    PaymentStatus.COMPLETED: "success",
    PaymentStatus.PROCESSING: "info",
    PaymentStatus.REQUIRES_ACTION: "warning",
    PaymentStatus.FAILED: "danger",
    PaymentStatus.CANCELED: "warning",
    PaymentStatus.PENDING: "info",
}


class _Document(OfMerchantAdmin):
    """Found by what people paste: merchants' references may look like bare ids, and win."""

    uuid_columns = ()
    ordering = ("-id",)

    @display(description="Id")
    def shown_id(self, row: Any) -> str:
        return str(row.public_id)

    @display(description="Amount")
    def amount(self, row: Any) -> str:
        return format_money(row.amount_minor, row.currency)


@admin.register(Payment)
class PaymentAdmin(_Document):
    """A payment with its history and its ledger lines."""

    id_columns: ClassVar = {
        "pay": "pk",
        "mer": "merchant_id",
        "cus": "customer_id",
        "ref": "refunds__pk",
    }
    list_display = (
        "shown_id",
        "merchant",
        "shown_status",
        "amount",
        "last4",
        "sales_channel",
        "livemode",
        "created_at",
    )
    list_filter = (
        "status",
        "livemode",
        by_currency,
        one_of("sales_channel", SALES_CHANNELS),
        by_merchant,
        "created_at",
    )
    search_help_text = (
        "An id (pay_…, ref_…, mer_…, cus_…), the merchant's reference, the customer's e-mail, or "
        "the card's last four digits"
    )
    exclude = ("token", "card", "metadata", "next_action_url", "return_url")
    readonly_fields = ("shown_card", "shown_metadata", "history", "ledger_lines")

    def matching(
        self, request: HttpRequest, queryset: QuerySet[Payment], text: str
    ) -> QuerySet[Payment]:
        return queryset.filter(payment_search(text))

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
                    (f"{e.created_at:%Y-%m-%d %H:%M:%S} UTC", e.type, e.actor_label, e.message)
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
class RefundAdmin(_Document):
    """A refund."""

    id_columns: ClassVar = {
        "ref": "pk",
        "mer": "merchant_id",
        "pay": "payment_id",
        "cus": "payment__customer_id",
    }
    list_display = (
        "shown_id",
        "merchant",
        "of_payment",
        "shown_status",
        "amount",
        "reason",
        "livemode",
        "created_at",
    )
    list_filter = ("status", "livemode", by_currency, by_merchant, "created_at")
    search_help_text = (
        "An id (ref_…, pay_…, mer_…, cus_…), the payment's reference, the customer's e-mail, or "
        "the card's last four digits"
    )

    def matching(
        self, request: HttpRequest, queryset: QuerySet[Refund], text: str
    ) -> QuerySet[Refund]:
        found = Payment.objects.filter(payment_search(text))
        return queryset.filter(payment_id__in=found.values("id"))

    @display(description="Payment")
    def of_payment(self, row: Refund) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:acceptance_payment_change", args=[row.payment_id]),
            ids.encode(Payment.PREFIX, row.payment_id),
        )

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
class CustomerAdmin(_Document):
    """A merchant's customer."""

    id_columns: ClassVar = {"cus": "pk", "mer": "merchant_id", "pay": "payments__pk"}
    list_display = ("shown_id", "merchant", "email", "reference", "livemode", "created_at")
    list_filter = ("livemode", by_merchant, "created_at")
    search_help_text = "An id (cus_…, pay_…, mer_…), the e-mail, or the merchant's reference"
    exclude = ("metadata",)

    def matching(
        self, request: HttpRequest, queryset: QuerySet[Customer], text: str
    ) -> QuerySet[Customer]:
        if "@" in text:
            # Addresses are kept in small letters.
            return queryset.filter(email=text.lower())
        return queryset.filter(reference=text)
