"""A reseller's merchants: the list, one of them, signing up, its settings and its first owner."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from core import errors, ids
from core.db import tenant_atomic
from core.pagination import PageRequest, paginate
from tenants import selectors
from tenants.models import Level, Merchant, Role, TenantStatus
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest
from tenants.services import merchants as services
from tenants.services import sign_up, team

#: What the form of a new merchant asks for.
NEW_FIELDS = (
    "name",
    "legal_name",
    "country",
    "default_currency",
    "statement_descriptor",
    "owner_email",
)


def _list(request: PortalRequest, *, status_code: int = 200, **more: Any) -> HttpResponse:
    """The list, also as the answer to a form that was refused."""
    status, search = request.GET.get("status", ""), request.GET.get("q", "").strip()[:120]
    if status not in TenantStatus.values:
        status = ""
    try:
        wanted = PageRequest.from_query(request.GET.dict())
        rows = selectors.merchants(actor=request.actor, status=status, search=search)
        page = paginate(rows, wanted)
    except errors.InvalidRequest:
        return redirect("portal:merchants")
    context = {
        "page": page,
        "status": status,
        "search": search,
        "tabs": [("", "All"), *TenantStatus.choices],
        **more,
    }
    return render(request, "tenants/merchants.html", context, status=status_code)


@portal_view(
    "merchants.read",
    at="merchants",
    name="merchants",
    place=Place("", 20, "Merchants", "store"),
    levels=(Level.RESELLER,),
)
def merchants_page(request: PortalRequest) -> HttpResponse:
    """The merchants of the reseller, newest first."""
    return _list(request)


@portal_view(
    "merchants.write",
    at="merchants/create",
    name="merchant-create",
    form_of="merchants",
    levels=(Level.RESELLER,),
)
def merchant_create(request: PortalRequest) -> HttpResponse:
    """Sign up a merchant and invite its first owner."""
    given = {name: request.POST.get(name, "") for name in NEW_FIELDS}
    try:
        row = sign_up.merchant_sign_up(actor=request.actor, **given)
    except (errors.InvalidRequest, errors.Conflict, errors.RateLimited) as error:
        with tenant_atomic(request.scope):
            return _list(request, status_code=error.status, refused=error, typed=request.POST)
    invited = given["owner_email"].strip()
    owner = f" An invitation is on its way to {invited}." if invited else ""
    messages.success(request, f"{row.name} is signed up and works in test mode.{owner}")
    return redirect("portal:merchant", row.public_id)


def _one(
    request: PortalRequest, merchant_id: str, *, status_code: int = 200, **more: Any
) -> HttpResponse:
    """One merchant's page; needs an open scope."""
    row = selectors.merchant_get(
        actor=request.actor, merchant_id=ids.decode(Merchant.PREFIX, merchant_id)
    )
    invitations = selectors.owner_invitations(actor=request.actor, merchant_id=row.id)
    has_owner = selectors.has_owner(actor=request.actor, merchant_id=row.id)
    share = row.fee_bps * row.reseller_share_bps // 10_000
    context = {
        "merchant": row,
        "share_bps": share,
        "platform_bps": row.fee_bps - share,
        "edited": {name: getattr(row, name) for name in services.MERCHANT_SETTINGS},
        "invitations": invitations,
        "may_invite_owner": not has_owner and all(each.state != "sent" for each in invitations),
        **more,
    }
    return render(request, "tenants/merchant.html", context, status=status_code)


@portal_view(
    "merchants.read", at="merchants/<str:merchant_id>", name="merchant", levels=(Level.RESELLER,)
)
def merchant_page(request: PortalRequest, merchant_id: str) -> HttpResponse:
    """One merchant: who it is and what it pays."""
    return _one(request, merchant_id)


@portal_view(
    "settings.write",
    at="merchants/<str:merchant_id>/edit",
    name="merchant-edit",
    form_of="merchant",
    levels=(Level.RESELLER,),
)
def merchant_edit(request: PortalRequest, merchant_id: str) -> HttpResponse:
    """Change a merchant's settings."""
    given = {
        name: request.POST[name] for name in services.MERCHANT_SETTINGS if name in request.POST
    }
    try:
        row = services.merchant_update(
            actor=request.actor, merchant_id=ids.decode(Merchant.PREFIX, merchant_id), **given
        )
    except errors.InvalidRequest as error:
        with tenant_atomic(request.scope):
            return _one(request, merchant_id, status_code=error.status, refused=error, edited=given)
    messages.success(request, f"The settings of {row.name} were changed.")
    return redirect("portal:merchant", row.public_id)


@portal_view(
    "team.write",
    at="merchants/<str:merchant_id>/owner",
    name="merchant-owner",
    form_of="merchant",
    levels=(Level.RESELLER,),
)
def merchant_owner(request: PortalRequest, merchant_id: str) -> HttpResponse:
    """Invite the first owner of a merchant."""
    try:
        row = team.invitation_create(
            actor=request.actor,
            email=request.POST.get("email", ""),
            role=Role.OWNER,
            merchant_id=ids.decode(Merchant.PREFIX, merchant_id),
        )
    except (
        errors.InvalidRequest,
        errors.Conflict,
        errors.PermissionDenied,
        errors.RateLimited,
    ) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The invitation to {row.email} is on its way.")
    return redirect("portal:merchant", merchant_id)
