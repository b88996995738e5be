"""Values as people read them: money, cards, times, percentages. Loaded with `{% load ui %}`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core.money import format_money

register = template.Library()


@register.simple_tag
def money(amount_minor: int, currency: str, *, code: bool = False) -> SafeString:
    """An amount in minor units, as people of the currency write it.

    `code` adds the ISO code where the amount does not begin or end with it anyway.
    """
    shown = format_money(amount_minor, currency).replace("-", "−")
    named = code and currency.upper() not in shown
    suffix = format_html(' <span class="cur">{}</span>', currency.upper()) if named else ""
    return format_html('<span class="amount">{}{}</span>', shown, suffix)


BRAND_CHIPS = {
    "visa": ("VISA", "Visa"),
    "mastercard": ("MC", "Mastercard"),
    "amex": ("AMEX", "American Express"),
    "discover": ("DISC", "Discover"),
    "diners": ("DC", "Diners Club"),
    "jcb": ("JCB", "JCB"),
    "unionpay": ("UP", "UnionPay"),
}


@register.simple_tag
def card_art(brand: str, last4: str) -> SafeString:
    """A card as people tell it from others: its brand and its last four digits."""
    short, name = BRAND_CHIPS.get(str(brand or ""), ("CARD", "Card"))
    return format_html(
        '<span class="card-art" title="{0}"><span class="brand-chip" aria-hidden="true">{1}</span>'
        '<span class="sr-only">{0} ending in </span>'
        '<span class="tnum"><span aria-hidden="true">•••• </span>{2}</span></span>',
        name,
        short,
        last4,
    )


@register.simple_tag
def pay_label(amount_minor: int, currency: str) -> str:
    """The words on the payer's button."""
    return f"Pay {format_money(amount_minor, currency)}"


@register.simple_tag
def when(moment: datetime | None, style: str = "minute") -> SafeString:
    """A moment in UTC, which it says wherever it names an hour. style: minute, second, date, long.

    The day and the hour may stand below each other where a column is narrow, and never break.
    """
    if moment is None:
        return mark_safe('<span class="muted">—</span>')
    local = timezone.localtime(moment)
    zone = local.tzname()
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    day, hour = {
        "date": (f"{local.day} {local:%b}{year}", ""),
        "minute": (f"{local.day} {local:%b}{year},", f"{local:%H:%M}"),
        "second": (f"{local.day} {local:%b}{year},", f"{local:%H:%M:%S}"),
        "long": (f"{local.day} {local:%B %Y},", f"{local:%H:%M:%S}"),
    }[style]
    return format_html(
        '<time class="when tnum" datetime="{}" title="{}"><span>{}</span>{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S} {zone}",
        day,
        format_html(' <span>{} <span class="zone">{}</span></span>', hour, zone) if hour else "",
    )


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key that is only known in the loop; empty when there is none."""
    return mapping.get(key, "")


@register.filter
def humanise(text: str) -> str:
    """`requested_by_customer` as people write it."""
    return str(text).replace("_", " ").strip().capitalize()


@register.filter
def percent(bps: int) -> str:
    """Hundredths of a percent as a percentage: 290 is "2.9 %"."""
    whole, rest = divmod(bps, 100)
    fraction = f".{rest:02}".rstrip("0") if rest else ""
    return f"{whole}{fraction} %"


@register.filter
def grouped(count: int) -> str:
    """A count with its thousands apart: 12345 is "12,345"."""
    return f"{count:,}"
