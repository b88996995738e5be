"""One id for each request, through every log line, task and webhook that follows from it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import structlog
from django.http import HttpRequest, HttpResponseBase

from core import metrics
from core.context import bind_request_id
from core.ids import encode, new_id

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
_QUIET_PATHS: Final = ("/health/", "/metrics", "/static/")


def accepted_request_id(given: str | None) -> str:
    """The caller's id when it is 8–64 harmless characters, else a fresh `req_…`."""
    if given and _ACCEPTED.fullmatch(given):
        return given
    return encode("req", new_id())


class RequestIdMiddleware:
    """Accept or make the request id, return it, log the request once and count it.

    Stands first in MIDDLEWARE, so that errors of the others carry the id too. The log line holds
    the path but never the query string, which may carry personal data.
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
            path=request.path,
            status=response.status_code,
            duration_ms=round(duration_s * 1000),
        )
