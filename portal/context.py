"""Template context of every page."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from portal.navigation import frame_for


def shell(request: HttpRequest) -> dict[str, Any]:
    """`frame` for templates/base/portal.html, computed only by pages that draw it; who asks, and where."""
    return {
        "frame": SimpleLazyObject(lambda: frame_for(request)),
        "seat": getattr(request, "seat", None),
        "actor": getattr(request, "actor", None),
    }
