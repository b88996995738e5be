"""The developers' page about API keys and machine clients: made and shown once, ended."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from core import errors, ids
from core.db import tenant_atomic
from core.spans import read_day
from tenants import policies, selectors
from tenants.models import ApiKey, Level, MachineClient
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest
from tenants.services import api_keys as services

KINDS = (
    ("sk", "Secret key", "For your server. It may do everything that an integration can."),
    ("rk", "Restricted key", "For one job. It may do only what you tick below."),
    ("pk", "Publishable key", "For pages and apps. It can only turn a card into a token."),
)
OVERLAPS = (("0", "At once"), ("1", "1 hour"), ("24", "24 hours"), ("168", "7 days"))


def scope_choices() -> list[tuple[str, list[str]]]:
    """What a restricted key may be given, by family."""
    families: dict[str, list[str]] = {}
    for name, row in policies.PERMISSIONS.items():
        if "rk" in row.key_kinds:
            families.setdefault(name.partition(".")[0], []).append(name)
    return list(families.items())


def _context(request: PortalRequest, **more: Any) -> dict[str, Any]:
    rows = selectors.api_keys(actor=request.actor).order_by("-id")
    marked = [(row, selectors.api_key_status(row)) for row in rows[:200]]
    clients = selectors.machine_clients(actor=request.actor).order_by("-id")
    marked_clients = [(row, selectors.machine_client_status(row)) for row in clients[:200]]
    gone = ("revoked", "expired")
    return {
        "clients": [pair for pair in marked_clients if pair[1] not in gone],
        "ended_clients": [pair for pair in marked_clients if pair[1] in gone],
        "keys": [pair for pair in marked if pair[1] not in gone],
        "ended": [pair for pair in marked if pair[1] in gone],
        "kinds": KINDS,
        "families": scope_choices(),
        "overlaps": OVERLAPS,
        **more,
    }


@portal_view(
    "keys.read",
    at="developers/keys",
    name="keys",
    place=Place("Developers", 10, "API keys", "key-round"),
    levels=(Level.MERCHANT,),
)
def keys_page(request: PortalRequest) -> HttpResponse:
    """The keys and machine clients of this merchant and mode."""
    return render(request, "tenants/keys.html", _context(request))


def _page(request: PortalRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    """The page as the answer to a POST, with a new key in it where one was made."""
    with tenant_atomic(request.scope):
        return render(request, "tenants/keys.html", _context(request, **more), status=status)


def _expiry(text: str) -> datetime | None:
    """The end of the day that was typed; none when the field is empty.

    Raises:
        InvalidRequest: not a date.
    """
    if not text:
        return None
    try:
        day = read_day(text)
    except ValueError as error:
        raise errors.InvalidRequest(str(error), param="expires_at") from None
    return datetime.combine(day, time.max, tzinfo=UTC)


@portal_view(
    "keys.write",
    at="developers/keys/create",
    name="key-create",
    form_of="keys",
    levels=(Level.MERCHANT,),
)
def key_create(request: PortalRequest) -> HttpResponse:
    """Make a key and show its text, this once."""
    kind = request.POST.get("kind", "sk")
    try:
        row, text = services.api_key_create(
            actor=request.actor,
            name=request.POST.get("name", ""),
            kind=kind,
            scopes=request.POST.getlist("scopes") if kind == "rk" else [],
            ip_allowlist=request.POST.get("ip_allowlist", "").replace(",", " ").split(),
            expires_at=_expiry(request.POST.get("expires_at", "").strip()),
        )
    except (errors.InvalidRequest, errors.Conflict) as error:
        return _page(
            request,
            status=error.status,
            refused=error,
            typed=request.POST,
            typed_scopes=request.POST.getlist("scopes"),
        )
    return _page(request, made=row, made_text=text)


@portal_view(
    "keys.write",
    at="developers/keys/<str:key_id>/rotate",
    name="key-rotate",
    form_of="keys",
    levels=(Level.MERCHANT,),
)
def key_rotate(request: PortalRequest, key_id: str) -> HttpResponse:
    """Make a successor; the old key keeps working for the chosen overlap."""
    hours = request.POST.get("overlap", "24")
    overlap = timedelta(hours=int(hours) if hours in dict(OVERLAPS) else 24)
    try:
        row, text = services.api_key_rotate(
            actor=request.actor, key_id=ids.decode(ApiKey.PREFIX, key_id), overlap=overlap
        )
    except (errors.InvalidRequest, errors.Conflict) as error:
        messages.error(request, error.message)
        return redirect("portal:keys")
    return _page(
        request, made=row, made_text=text, overlap_hours=int(overlap.total_seconds()) // 3600
    )


@portal_view(
    "keys.write",
    at="developers/keys/<str:key_id>/revoke",
    name="key-revoke",
    form_of="keys",
    levels=(Level.MERCHANT,),
)
def key_revoke(request: PortalRequest, key_id: str) -> HttpResponse:
    """End a key at once."""
    row = services.api_key_revoke(actor=request.actor, key_id=ids.decode(ApiKey.PREFIX, key_id))
    messages.success(request, f"The key {row.name} was revoked. It is refused from now on.")
    return redirect("portal:keys")


@portal_view(
    "keys.write",
    at="developers/keys/clients/create",
    name="client-create",
    form_of="keys",
    levels=(Level.MERCHANT,),
)
def client_create(request: PortalRequest) -> HttpResponse:
    """Make a machine client and show its secret, this once."""
    try:
        row, secret = services.machine_client_create(
            actor=request.actor,
            name=request.POST.get("name", ""),
            scopes=request.POST.getlist("scopes"),
            expires_at=_expiry(request.POST.get("expires_at", "").strip()),
        )
    except (errors.InvalidRequest, errors.Conflict) as error:
        return _page(
            request,
            status=error.status,
            client_refused=error,
            client_typed=request.POST,
            client_scopes=request.POST.getlist("scopes"),
        )
    return _page(request, made_client=row, client_secret=secret)


@portal_view(
    "keys.write",
    at="developers/keys/clients/<str:client_id>/revoke",
    name="client-revoke",
    form_of="keys",
    levels=(Level.MERCHANT,),
)
def client_revoke(request: PortalRequest, client_id: str) -> HttpResponse:
    """End a machine client and the tokens that it holds."""
    row = services.machine_client_revoke(
        actor=request.actor, client_id=ids.decode(MachineClient.PREFIX, client_id)
    )
    messages.success(request, f"The machine client {row.name} was revoked. It gets no new tokens.")
    return redirect("portal:keys")
