"""The team page: members, their roles, a reseller's agents, and invitations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from core import errors, ids
from core.db import tenant_atomic
from tenants import selectors
from tenants.models import Invitation, Level, Membership, Merchant, Role
from tenants.portal.base import Place, portal_view
from tenants.requests import PortalRequest
from tenants.services import members, team

ROLES = (
    (Role.OWNER.value, "Owner", "Everything, and the only one who names other owners."),
    (Role.ADMIN.value, "Admin", "Payments, refunds, team and settings, in test and live mode."),
    (Role.DEVELOPER.value, "Developer", "Keys, webhooks and payments, in test mode only."),
    (Role.VIEWER.value, "Viewer", "Sees payments and reports, changes nothing."),
)

#: How many merchants the agent's page offers at once; a search finds the others.
MERCHANTS_SHOWN = 60


def _context(request: PortalRequest, **more: Any) -> dict[str, Any]:
    is_owner = request.seat.role == Role.OWNER
    offered = [role for role in ROLES if is_owner or role[0] != Role.OWNER]
    return {
        "members": selectors.members(actor=request.actor),
        "invitations": selectors.invitations_of_team(actor=request.actor),
        "roles": offered,
        "role_choices": [(value, label) for value, label, _text in offered],
        "is_owner": is_owner,
        "own_user_id": request.user.pk,
        **more,
    }


@portal_view("team.read", at="team", name="team", place=Place("Account", 10, "Team", "users"))
def team_page(request: PortalRequest) -> HttpResponse:
    """Who is in this account, in which role."""
    return render(request, "tenants/team.html", _context(request))


@portal_view(
    "team.write",
    at="team/invite",
    name="invite",
    form_of="team",
)
def invite(request: PortalRequest) -> HttpResponse:
    """Invite a member by e-mail."""
    try:
        invitation = team.invitation_create(
            actor=request.actor,
            email=request.POST.get("email", ""),
            role=request.POST.get("role", ""),
        )
    except (
        errors.InvalidRequest,
        errors.Conflict,
        errors.PermissionDenied,
        errors.RateLimited,
    ) as error:
        with tenant_atomic(request.scope):
            context = _context(request, refused=error, typed=request.POST)
            return render(request, "tenants/team.html", context, status=error.status)
    until = f"{invitation.expires_at.astimezone(UTC):%-d %B %Y}"
    messages.success(request, f"The invitation is on its way. It can be accepted until {until}.")
    return redirect("portal:team")


@portal_view(
    "team.write",
    at="team/invitations/<str:invitation_id>/revoke",
    name="invitation-revoke",
    form_of="team",
)
def invitation_revoke(request: PortalRequest, invitation_id: str) -> HttpResponse:
    """Withdraw an invitation."""
    return _change_invitation(
        request, invitation_id, team.invitation_revoke, "The invitation of {email} was withdrawn."
    )


@portal_view(
    "team.write",
    at="team/invitations/<str:invitation_id>/resend",
    name="invitation-resend",
    form_of="team",
)
def invitation_resend(request: PortalRequest, invitation_id: str) -> HttpResponse:
    """Send an invitation again, with a new link."""
    return _change_invitation(
        request,
        invitation_id,
        team.invitation_resend,
        "A new link is on its way to {email}; the earlier one no longer works.",
    )


def _change_invitation(
    request: PortalRequest, invitation_id: str, change: Callable[..., Invitation], said: str
) -> HttpResponse:
    """Change an invitation and go back to the page that lists it: the team's or its merchant's."""
    wanted = ids.decode(Invitation.PREFIX, invitation_id)
    try:
        row = change(actor=request.actor, invitation_id=wanted)
    except (errors.Conflict, errors.PermissionDenied, errors.RateLimited) as error:
        messages.error(request, error.message)
        with tenant_atomic(request.scope):
            row = selectors.invitations(actor=request.actor).get(id=wanted)
    else:
        messages.success(request, said.format(email=row.email))
    if request.seat.level == Level.RESELLER and row.merchant_id is not None:
        return redirect("portal:merchant", ids.encode(Merchant.PREFIX, row.merchant_id))
    return redirect("portal:team")


@portal_view(
    "team.write",
    at="team/<str:member_id>/role",
    name="member-role",
    form_of="team",
)
def member_role(request: PortalRequest, member_id: str) -> HttpResponse:
    """Give a member another role."""
    try:
        members.membership_change_role(
            actor=request.actor,
            membership_id=ids.decode(Membership.PREFIX, member_id),
            role=request.POST.get("role", ""),
        )
    except (errors.Conflict, errors.InvalidRequest, errors.PermissionDenied) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The role was changed.")
    return redirect("portal:team")


@portal_view(
    "team.write",
    at="team/<str:member_id>/remove",
    name="member-remove",
    form_of="team",
)
def member_remove(request: PortalRequest, member_id: str) -> HttpResponse:
    """End a membership."""
    try:
        members.membership_remove(
            actor=request.actor, membership_id=ids.decode(Membership.PREFIX, member_id)
        )
    except (errors.Conflict, errors.PermissionDenied) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The member was removed and loses access with the next click.")
    return redirect("portal:team")


def _agent_page(
    request: PortalRequest, member_id: str, *, status: int = 200, **more: Any
) -> HttpResponse:
    """The merchants that a member may be bound to: the granted ones, then what the search finds."""
    wanted = ids.decode(Membership.PREFIX, member_id)
    member = selectors.member_get(actor=request.actor, membership_id=wanted)
    granted = selectors.agent_merchants(actor=request.actor, user_id=member.user_id)
    search = request.GET.get("q", "").strip()[:120]
    found = (
        selectors.merchants(actor=request.actor, search=search)
        .exclude(id__in=[row.id for row in granted])
        .order_by("name", "id")[: MERCHANTS_SHOWN + 1]
    )
    others = list(found)
    context = {
        "member": member,
        "only": member.only_granted,
        "granted": granted,
        "others": others[:MERCHANTS_SHOWN],
        "more": len(others) > MERCHANTS_SHOWN,
        "searchable": bool(search) or len(others) > MERCHANTS_SHOWN,
        "search": search,
        **more,
    }
    return render(request, "tenants/agent.html", context, status=status)


@portal_view(
    "team.write",
    at="team/<str:member_id>/merchants",
    name="member-merchants",
    levels=(Level.RESELLER,),
)
def agent_page(request: PortalRequest, member_id: str) -> HttpResponse:
    """Which merchants a member of the reseller may act for."""
    return _agent_page(request, member_id)


@portal_view(
    "team.write",
    at="team/<str:member_id>/agent",
    name="member-agent",
    form_of="member-merchants",
    levels=(Level.RESELLER,),
)
def agent(request: PortalRequest, member_id: str) -> HttpResponse:
    """Bind a member to single merchants, or end that."""
    chosen = request.POST.getlist("merchants") if request.POST.get("access") == "only" else []
    try:
        if request.POST.get("access") == "only" and not chosen:
            # An empty list would mean the whole account, which the form did not ask for.
            raise errors.InvalidRequest("Tick at least one merchant, or choose the whole account.")
        members.agent_set(
            actor=request.actor,
            membership_id=ids.decode(Membership.PREFIX, member_id),
            merchant_ids=[ids.decode(Merchant.PREFIX, text) for text in chosen],
        )
    except (errors.Conflict, errors.InvalidRequest) as error:
        with tenant_atomic(request.scope):
            return _agent_page(
                request, member_id, status=error.status, refused=error.message, only=bool(chosen)
            )
    messages.success(request, "The member's merchants were changed.")
    return redirect("portal:team")
