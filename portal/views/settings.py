"""Settings: the account as we know it, and how the portal looks in this browser."""

from __future__ import annotations

from babel import Locale
from django.http import HttpResponse
from django.shortcuts import render

from portal.theme import theme_of
from tenants import selectors
from tenants.models import Level
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest


def country_name(code: str) -> str:
    """The country of an ISO 3166-1 alpha-2 code as people write it; an unknown code as it is."""
    return str(Locale("en").territories.get(code.upper(), code))


@portal_view(
    "settings.read",
    at="settings",
    name="settings",
    place=Place("Account", 20, "Settings", "settings"),
)
def settings_page(request: PortalRequest) -> HttpResponse:
    """Account, person and theme; nothing here moves money."""
    seat = request.seat
    merchant = reseller = None
    if seat.level == Level.MERCHANT and seat.merchant_id is not None:
        merchant = selectors.merchants(actor=request.actor).filter(id=seat.merchant_id).first()
    else:
        reseller = selectors.reseller_of(actor=request.actor)
    tenant = merchant or reseller
    context = {
        "merchant": merchant,
        "reseller": reseller,
        "country": country_name(tenant.country) if tenant else "",
        "theme_now": theme_of(request),
    }
    return render(request, "portal/settings.html", context)
