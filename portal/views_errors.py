"""Pages for what goes wrong before a view is reached."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or stale; the usual cause is a page left open over a sign-in."""
    return render(request, "portal/csrf_failure.html", status=403)
