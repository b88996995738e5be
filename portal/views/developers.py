"""The request log: every API call of the merchant, as integrators look for one."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.shortcuts import redirect, render

from core import errors
from core.pagination import PageRequest, paginate
from portal import selectors
from tenants.models import Level
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest

METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")
TABS: Final = (("", "All"), ("2", "Succeeded"), ("4", "Refused"), ("5", "Broken"))


@portal_view(
    "requests.read",
    at="developers/requests",
    name="requests",
    place=Place("Developers", 40, "Request log", "scroll-text"),
    levels=(Level.MERCHANT,),
)
def requests_page(request: PortalRequest) -> HttpResponse:
    """The calls of this mode, newest first."""
    status_class, method = request.GET.get("status", ""), request.GET.get("method", "")
    search = request.GET.get("q", "").strip()[:300]
    rows = selectors.request_log(
        actor=request.actor,
        status_class=status_class,
        method=method if method in METHODS else "",
        search=search,
    )
    try:
        page = paginate(rows, PageRequest.from_query(request.GET.dict()))
    except errors.InvalidRequest:
        return redirect("portal:requests")
    context = {
        "page": page,
        "tabs": TABS,
        "status": status_class,
        "method": method,
        "methods": [("", "Every method"), *((name, name) for name in METHODS)],
        "search": search,
        "filtered": bool(status_class or method or search),
    }
    return render(request, "portal/requests.html", context)
