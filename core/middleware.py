"""One id for each request, through every log line, task and webhook that follows from it; and what
no page takes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core import deadline, metrics
from core.context import bind_request_id
from core.ids import encode, new_id
from core.logging import shown_path
from core.pan import contains_card_number

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
_QUIET_PATHS: Final = ("/health/", "/metrics", "/static/")


def accepted_request_id(given: str | None) -> str:
    """The caller's id when it is 8–64 harmless characters and no card, else a fresh `req_…`."""
    if given and _ACCEPTED.fullmatch(given) and not contains_card_number(given):
        return given
    return encode("req", new_id())


class RequestIdMiddleware:
    """Accept or make the request id, return it, log the request once and count it.

    It comes before all middleware that may fail, so that their errors carry the id too. The log
    line holds what `shown_path` makes of the address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = accepted_request_id(request.headers.get(HEADER))
        request.META["HTTP_X_REQUEST_ID"] = request_id
        started = time.perf_counter()
        with bind_request_id(request_id):
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            duration_s = time.perf_counter() - started
            if not request.path.startswith(_QUIET_PATHS):
                self._record(request, response, duration_s)
        return response

    def _record(self, request: HttpRequest, response: HttpResponseBase, duration_s: float) -> None:
        match = request.resolver_match
        route = match.route if match is not None else "unmatched"
        method = request.method or ""
        metrics.observe_request(
            method=method, route=route, status=response.status_code, duration_s=duration_s
        )
        log.info(
            "http.request",
            method=method,
            path=shown_path(request),
            status=response.status_code,
            duration_ms=round(duration_s * 1000),
        )


class DeadlineMiddleware:
    """Gives each request REQUEST_DEADLINE_S to be answered in, unless one runs already.

    A page whose time is over is answered with 503; the API's views say so in their envelope.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if deadline.remaining_s() is not None:
            return self.get_response(request)
        with deadline.within(settings.REQUEST_DEADLINE_S):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Make the page for DeadlineExceeded."""
        if not isinstance(error, deadline.DeadlineExceeded):
            return None
        context = {"status": 503, "heading": "This took too long", "text": error.message}
        response = render(request, "base/refused.html", context, status=503)
        response["Retry-After"] = "2"
        return response


class NulGuardMiddleware:
    """Answers a page's address or form with a NUL character with 400.

    PostgreSQL holds no NUL in text, so the first query would fail with a 500. The API's views check
    for themselves, and say which field it is.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> None:
        """Raise BadRequest for a NUL; handler400 makes the page."""
        if not hasattr(view, "cls") and any("\x00" in text for text in _given(request)):
            raise BadRequest("The address or the form holds a NUL character.")


def _given(request: HttpRequest) -> Iterator[str]:
    """What a page is given: its address, its query and its form."""
    yield request.path
    for form in (request.GET, request.POST):
        for name, values in form.lists():
            yield name
            yield from values
