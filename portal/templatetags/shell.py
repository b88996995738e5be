"""What the layouts need to know beside the page: `{% load shell %}`."""

from typing import Any

from django import template
from django.conf import settings
from django.http import QueryDict
from django.template import Context

from portal.theme import theme_of

register = template.Library()


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """system, light or dark; error pages that have no request follow the system."""
    return theme_of(context.get("request"))


@register.simple_tag
def ws_origin() -> str:
    """Where websockets are reached: in production this host, in ./dev up the next port."""
    return str(settings.WS_URL)


@register.simple_tag
def query_string(params: QueryDict, **changes: Any) -> str:
    """The query as `?…` with some keys changed; None and empty take a key out."""
    fresh = params.copy()
    for key, value in changes.items():
        if value in (None, ""):
            fresh.pop(key, None)
        else:
            fresh[key] = str(value)
    return f"?{fresh.urlencode()}"
