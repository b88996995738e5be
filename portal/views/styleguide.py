"""The living style page: every component in every state, on one page, in development only."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from core.money import format_money
from portal.charts import Bucket, bar_chart, line_chart
from portal.navigation import Entry, Frame, Group, Person, TenantChoice
from portal.theme import theme_of
from portal.words import STATES

_DAYS = (
    412_00, 380_50, 455_10, 610_00, 520_30, 298_00, 340_75, 702_40, 688_00, 731_20, 690_00,
    810_55, 544_00, 601_00, 932_80, 880_00, 951_30, 1_020_00, 760_40, 712_00, 1_105_25,
)  # fmt: skip
_ID = "pay_01kagq7m6zfh8t4x9m2v5c0d3e"
_ROWS = (
    (4890, "EUR", "completed", "Ada Lovelace", "visa", "4242", _ID),
    (129900, "EUR", "requires_action", "Charles Babbage", "mastercard", "4444", _ID),
    (2500, "EUR", "failed", "Grace Hopper", "amex", "0005", _ID),
    (980000, "JPY", "processing", "Haruko Tanaka", "visa", "0119", _ID),
    (72015, "EUR", "partially_refunded", "Annie Easley", "visa", "3220", _ID),
)
# seconds after the start, title, tone, icon, text
_HISTORY = (
    (9, "Payment completed", "ok", "circle-check", "€48.90 captured"),
    (8, "Payer passed the 3-D Secure challenge", "info", "shield-check", ""),
    (0, "Payment created", "", "plus", "by API key sk_test …9f2c"),
)


def styleguide(request: HttpRequest) -> HttpResponse:
    """Draw the components with made-up figures; 404 unless DEBUG."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "portal/styleguide.html", sample(request))


def sample(request: HttpRequest | None) -> dict[str, object]:
    """Context of the style page: a sample shell, charts, rows and a timeline."""
    start = datetime(2026, 11, 1, 9, 7, 31, tzinfo=UTC)
    buckets = [
        Bucket(
            label=f"{(start + timedelta(days=index)).day} Nov",
            value=value,
            text=format_money(value, "EUR"),
            previous=value * (70 + index) // 100,
            previous_text=format_money(value * (70 + index) // 100, "EUR"),
        )
        for index, value in enumerate(_DAYS)
    ]

    def axis_text(amount_minor: int) -> str:
        return f"€{amount_minor // 100:,}"

    return {
        "frame": _sample_frame(request),
        "volume": line_chart(
            buckets,
            title="Gross volume",
            series_name="This month",
            previous_name="Month before",
            axis_text=axis_text,
        ),
        "counts": bar_chart(
            [Bucket(row.label, row.value // 2100, str(row.value // 2100)) for row in buckets],
            title="Payments by day",
            series_name="Payments",
            axis_text=str,
        ),
        "nothing": line_chart([], title="No volume", series_name="Volume", axis_text=axis_text),
        "states": list(STATES),
        "moment": start,
        "rows": _ROWS,
        "timeline": [
            {
                "key": title,
                "title": title,
                "at": start + timedelta(seconds=after_s),
                "tone": tone,
                "icon": icon,
                "text": text,
            }
            for after_s, title, tone, icon, text in _HISTORY
        ],
        "sample_json": {"id": _ID, "amount": 4890, "currency": "EUR", "status": "completed"},
        "tenders": [("eur", "Euro"), ("usd", "US dollar")],
    }


def _sample_frame(request: HttpRequest | None) -> Frame:
    tenant = TenantChoice("Lindqvist Coffee AB", "Merchant · Owner", "a", current=True)
    return Frame(
        theme=theme_of(request),
        here="/styleguide",
        may_switch=True,
        band=True,
        groups=(
            Group(
                "",
                (
                    Entry("Home", "house", "#", current=True),
                    Entry("Payments", "credit-card", "#"),
                ),
            ),
            Group(
                "Developers",
                (
                    Entry("API keys", "key-round", "#"),
                    Entry("Webhooks", "webhook", "#"),
                    Entry("Events", "activity", "#"),
                    Entry("Request log", "scroll-text", "#"),
                ),
            ),
            Group("Account", (Entry("Team", "users", "#"), Entry("Settings", "settings", "#"))),
        ),
        foot=(Entry("API reference", "book-open", "/docs/api"),),
        tenant=tenant,
        tenants=(tenant, TenantChoice("Fjord Bikes ApS", "Merchant · Admin", "b", current=False)),
        user=Person("Maja Lindqvist", "maja@lindqvist.example", "Owner"),
        may_search=True,
    )
