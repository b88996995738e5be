"""Whose row it is, in the admin's lists and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import ids
from core.admin import ReadOnlyAdmin, display
from tenants.models import Merchant, Reseller


class OfMerchantAdmin(ReadOnlyAdmin):
    """Rows that belong to merchants: `merchant` is a column with the name and a link.

    The name comes with the rows, looked up by key for those that the page shows.
    """

    shown_as: ClassVar[Mapping[str, str]] = {
        "merchant_id": "merchant",
        "reseller_id": "reseller",
        # Every amount says its currency.
        "currency": "",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows with the names of their merchants."""
        name = Merchant.objects.filter(id=OuterRef("merchant_id")).values("name")[:1]
        found: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = found.annotate(merchant_name=Subquery(name))
        return named

    @display(description="Merchant")
    def merchant(self, row: Any) -> SafeString:
        """Name and link; the id where the name is not there."""
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
            reverse("admin:tenants_merchant_change", args=[row.merchant_id]),
            row.merchant_name or ids.encode(Merchant.PREFIX, row.merchant_id),
        )

    @display(description="Reseller")
    def reseller(self, row: Any) -> SafeString:
        """Name and link, looked up: for pages of one row, not for lists."""
        name = Reseller.objects.filter(id=row.reseller_id).values_list("name", flat=True).first()
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
            reverse("admin:tenants_reseller_change", args=[row.reseller_id]),
            name or ids.encode(Reseller.PREFIX, row.reseller_id),
        )
