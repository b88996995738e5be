"""Template context of every page."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from core.requests import ACTOR
from portal.navigation import frame_for, live_parts
from tenants.requests import SEAT


def shell(request: HttpRequest) -> dict[str, Any]:
    """`frame` for templates/base/portal.html, made only where it is drawn; who asks, and where."""
    return {
        "frame": SimpleLazyObject(lambda: frame_for(request)),
        # What keeps a page current wants its parts alone, without the frame around them.
        "frameless": live_parts(request) is not None,
        "seat": SEAT.find(request),
        "actor": ACTOR.find(request),
    }
