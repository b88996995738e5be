"""Small choices that a session or a browser remembers: theme, test or live mode, tenant."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from core.back_address import asked_address
from core.requests import RequestKey
from portal.navigation import seat_choice
from portal.theme import THEME_COOKIE, THEME_MAX_AGE_S, THEMES
from tenants.portal.base import portal_view
from tenants.requests import PortalRequest
from tenants.seats import SESSION_LIVEMODE, Seat, seats_of, take_seat

SEATS_SHOWN: Final = 50
FOUND_SEATS: Final = RequestKey[list[Seat]]("found_seats", set_by="_find_seats")


@require_POST
def theme_set(request: HttpRequest) -> HttpResponse:
    """Remember the theme in this browser; no sign-in is needed for it."""
    chosen = request.POST.get("theme", "")
    if chosen not in THEMES:
        return HttpResponseBadRequest("Choose system, light or dark.")
    response = redirect(asked_address(request, "/"))
    response.set_cookie(
        THEME_COOKIE,
        chosen,
        max_age=THEME_MAX_AGE_S,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )
    return response


@portal_view(
    None,
    at="settings/mode",
    name="mode",
    form_of="home",
)
def mode_set(request: PortalRequest) -> HttpResponse:
    """Look at test or at live data; a page about one object is left, for it has one mode."""
    wants_live = request.POST.get("mode") == "live"
    if wants_live and not request.seat.may_use_live_mode:
        messages.error(request, "Your role works in test mode only. An admin can change it.")
        return redirect("portal:home")
    request.session[SESSION_LIVEMODE] = wants_live
    target = asked_address(request, "/")
    parts = target.split("?")[0].strip("/").split("/")
    if len(parts) > 1 and parts[0] in {"payments", "merchants"}:
        target = f"/{parts[0]}"
    elif len(parts) > 2:  # an endpoint, an event, a request under /developers
        target = f"/{parts[0]}/{parts[1]}"
    return redirect(target)


def _find_seats(request: HttpRequest) -> None:
    """Look up the accounts that a person searches for."""
    if request.user.is_authenticated:
        search = request.GET.get("q", "").strip()[:120]
        found = seats_of(user_id=request.user.pk, search=search, limit=SEATS_SHOWN + 1)
        FOUND_SEATS.set(request, found)


@portal_view(None, at="settings/accounts", name="accounts", before=_find_seats)
def accounts_page(request: PortalRequest) -> HttpResponse:
    """The accounts that this person may sit down in, found by name."""
    found = FOUND_SEATS.of(request)
    context = {
        "accounts": [seat_choice(seat, request.seat) for seat in found[:SEATS_SHOWN]],
        "more": len(found) > SEATS_SHOWN,
        "shown": SEATS_SHOWN,
        "search": request.GET.get("q", "").strip(),
    }
    return render(request, "portal/accounts.html", context)


@portal_view(
    None,
    at="settings/account",
    name="tenant",
    form_of="home",
)
def tenant_set(request: PortalRequest) -> HttpResponse:
    """Sit down in another tenant that this person belongs to."""
    wanted = request.POST.get("membership", "")
    for seat in seats_of(user_id=UUID(str(request.user.pk))):
        if seat.key == wanted:
            take_seat(request.session, seat)
            messages.success(request, f"You are now in {seat.tenant_name}.")
            return redirect("portal:home")
    messages.error(request, "You do not belong to that account any more.")
    return redirect("portal:home")
