"""The public pages for integrators: the guide, the API reference, the events.

They read neither database nor session: what they show is the same for all, so their bodies are
drawn once in a process.
"""

from __future__ import annotations

import functools

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from core.caching import IN_THE_BROWSER, same_for_all
from core.events import public_families
from developers import guide
from developers.document import document
from developers.errors import GROUPS
from developers.examples import EXAMPLES
from developers.prose import json_html, paragraphs
from developers.reference import sections


@same_for_all(IN_THE_BROWSER)
@require_safe
def guide_page(request: HttpRequest) -> HttpResponse:
    """From nothing to a verified webhook."""
    return render(request, "developers/guide.html", {"here": "guide", "body": _guide_body()})


@same_for_all(IN_THE_BROWSER)
@require_safe
def reference_page(request: HttpRequest) -> HttpResponse:
    """Every operation, and every error that `doc_url` points at."""
    context = {
        "here": "api",
        "sections": sections(),
        "groups": GROUPS,
        "body": _reference_body(),
    }
    return render(request, "developers/reference.html", context)


@same_for_all(IN_THE_BROWSER)
@require_safe
def events_page(request: HttpRequest) -> HttpResponse:
    """The catalogue of events."""
    context = {"here": "events", "families": public_families().items(), "body": _events_body()}
    return render(request, "developers/events.html", context)


@functools.lru_cache(maxsize=1)
def _guide_body() -> SafeString:
    return render_to_string(
        "developers/guide_body.html",
        {
            "snippets": guide.snippets(settings.BASE_URL),
            "cards": guide.test_cards(),
            "verify_python": guide.VERIFY_PYTHON,
            "verify_node": guide.VERIFY_NODE,
        },
    )


@functools.lru_cache(maxsize=1)
def _reference_body() -> SafeString:
    info = document()["info"]
    return render_to_string(
        "developers/reference_body.html",
        {
            "sections": sections(),
            "groups": GROUPS,
            "version": info["version"],
            "intro": paragraphs(info["description"]),
            "base_url": settings.BASE_URL,
            "schemes": document()["components"]["securitySchemes"],
        },
    )


@functools.lru_cache(maxsize=1)
def _events_body() -> SafeString:
    example = EXAMPLES["events_retrieve"].response
    return render_to_string(
        "developers/events_body.html",
        {"families": public_families().items(), "example": json_html(example)},
    )
