"""How the portal's template tags write HTML."""

from collections.abc import Mapping
from typing import Any

from django.forms.utils import flatatt
from django.template.loader import get_template
from django.utils.safestring import SafeString


def attributes(values: Mapping[str, Any]) -> SafeString:
    """Keyword arguments as HTML attributes, escaped; `_` at the end lets a Python word through."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in values.items()}
    return SafeString(flatatt(named))


def rendered(name: str, context: dict[str, Any]) -> SafeString:
    return SafeString(get_template(f"components/{name}.html").render(context))
