"""Pages for what goes wrong around a view; none of them needs a session or the database."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from core.context import request_id

_WORDS = {
    400: ("invalid_request_error", "bad_request", "The request could not be read."),
    403: ("permission_error", "permission_denied", "You may not do this."),
    404: ("invalid_request_error", "resource_missing", "There is nothing at this address."),
    500: ("api_error", "internal_error", "Something broke on our side. Try again in a minute."),
}


def _answer(request: HttpRequest, status: int) -> HttpResponse:
    """A page for people, the API's envelope for programs below /v1/."""
    if request.path.startswith("/v1/"):
        kind, code, message = _WORDS[status]
        error = {"type": kind, "code": code, "message": message}
        body = {"success": False, "error": error, "meta": {"requestId": request_id()}}
        return JsonResponse(body, status=status)
    context = {"request_id": request_id()}
    return render(request, f"{status}.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400"""
    return _answer(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403"""
    return _answer(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404"""
    return _answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500"""
    return _answer(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or stale: most often a page left open over a sign-in."""
    return render(request, "portal/csrf_failure.html", status=403)
