"""``{% seat_field %}``, known to every template: which account and mode a form was made for."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tenants.portal.base import SEAT_FIELD

register = template.Library()


@register.simple_tag(takes_context=True)
def seat_field(context: Context) -> SafeString:
    """The hidden field that ``portal_view`` requires of every POST; empty without a seat."""
    seat = getattr(context.get("request"), "seat", None)
    if seat is None:
        return SafeString("")
    return format_html('<input type="hidden" name="{}" value="{}">', SEAT_FIELD, seat.mark)
