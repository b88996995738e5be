"""The pages for what went wrong; under /v1/ the same errors come in the API's envelope."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.api.renderers import dump, failure
from core.back_address import referring_address
from core.context import request_id

_API_TYPES = {400: "invalid_request_error", 403: "permission_error", 404: "invalid_request_error"}


def _answer(
    request: HttpRequest, status: int, code: str, message: str, template: str = "", **shown: str
) -> HttpResponse:
    if request.path.startswith("/v1/"):
        body = failure(type=_API_TYPES.get(status, "api_error"), code=code, message=message)
        return HttpResponse(dump(body), status=status, content_type="application/json")
    context = {"request_id": request_id(), **shown}
    return render(request, template or f"{status}.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    message = "The request could not be read."
    if isinstance(exception, DisallowedHost):
        message = f"The Host header names a host that is not served here; use {settings.BASE_URL}."
    return _answer(request, 400, "bad_request", message)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "permission_denied", "You do not have permission to do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, "resource_missing", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(
        request,
        500,
        "internal_error",
        "Something broke on our side. Send the request again with the same Idempotency-Key, and "
        "tell us the request id if it happens again.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose token is missing or stale; mostly a page that was left open over a sign-in."""
    return _answer(
        request,
        403,
        "csrf_failed",
        "Nothing was done: the page is out of date, or cookies are blocked. Reload it, try again.",
        "portal/csrf_failure.html",
        back=referring_address(request, "/"),
    )
