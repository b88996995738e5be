"""Template context of every page."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from portal.navigation import frame_for


def shell(request: HttpRequest) -> dict[str, Any]:
    """`frame` for templates/base/portal.html, made only where it is drawn; who asks, and where."""
    return {
        "frame": SimpleLazyObject(lambda: frame_for(request)),
        "seat": getattr(request, "seat", None),
        "actor": getattr(request, "actor", None),
    }
