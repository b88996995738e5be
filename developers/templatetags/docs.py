"""`{% load docs %}`: the documentation's own filter."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from developers.prose import inline

register = template.Library()


@register.filter
def prose(text: str) -> SafeString:
    """One line of text with `code` and **bold**."""
    return inline(text)
