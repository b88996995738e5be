"""Reads of the tenants room that faces need; each runs inside the caller's scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import fetch_one
from tenants import policies
from tenants.models import (
    ApiKey,
    Invitation,
    Level,
    MachineClient,
    Membership,
    Merchant,
    MerchantGrant,
    Reseller,
    Role,
    TenantStatus,
)

#: How long pages show an invitation that has been answered, and how many at most.
INVITATIONS_SHOWN_FOR: Final = timedelta(days=30)
INVITATIONS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a tenant as the team page shows one. ``merchants`` is an agent's."""

    membership_id: UUID
    public_id: str
    user_id: UUID
    email: str
    name: str
    role: str
    is_active: bool
    only_granted: bool
    joined_at: datetime
    last_login: datetime | None


def api_keys(*, actor: Actor) -> QuerySet[ApiKey]:
    """The keys of the actor's merchant and mode; PermissionDenied above merchants."""
    return ApiKey.objects.filter(merchant_id=policies.merchant_of(actor), livemode=actor.livemode)


def api_key_get(*, actor: Actor, key_id: UUID) -> ApiKey:
    """One key. Raises NotFound for another merchant's or mode's."""
    row = api_keys(actor=actor).filter(id=key_id).first()
    if row is None:
        raise errors.NotFound("There is no such API key.")
    return row


def api_key_status(key: ApiKey) -> str:
    """``active``, ``expiring`` (in its overlap), ``expired`` or ``revoked``."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "expired"
    return "expiring" if key.replaced_by_id is not None else "active"


def machine_clients(*, actor: Actor) -> QuerySet[MachineClient]:
    """The machine clients of the actor's merchant and mode; PermissionDenied above merchants."""
    return MachineClient.objects.filter(
        merchant_id=policies.merchant_of(actor), livemode=actor.livemode
    )


def machine_client_status(row: MachineClient) -> str:
    """``active``, ``expired`` or ``revoked``."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at and row.expires_at <= timezone.now() else "active"


def members(*, actor: Actor) -> list[Member]:
    """The members of the actor's own tenant, owners first."""
    rows = own_memberships(actor).order_by("created_at", "id")
    order = {"owner": 0, "admin": 1, "developer": 2, "viewer": 3}
    return sorted(map(member_of, rows), key=lambda member: order.get(member.role, 9))


def roles_of(user_id: UUID) -> list[str]:
    """Every role that a person has in any tenant, in the staff's scope."""
    return sorted(set(Membership.objects.filter(user_id=user_id).values_list("role", flat=True)))


def member_get(*, actor: Actor, membership_id: UUID) -> Member:
    """One member of the actor's own tenant. Raises NotFound for any other."""
    row = own_memberships(actor).filter(id=membership_id).first()
    if row is None:
        raise errors.NotFound("There is no such member.")
    return member_of(row)


def own_memberships(actor: Actor) -> QuerySet[Membership]:
    """Memberships of the actor's own tenant and level, each with its person (no password)."""
    return (
        Membership.objects.filter(**own_tenant(actor))
        .select_related("user")
        .defer("user__password", "user__is_superuser", "user__login_stamp")
    )


def member_of(row: Membership) -> Member:
    """A membership of :func:`own_memberships` as the team page shows it."""
    return Member(
        membership_id=row.id,
        public_id=row.public_id,
        user_id=row.user_id,
        email=row.user.email,
        name=row.user.name,
        role=row.role,
        is_active=row.user.is_active,
        only_granted=row.only_granted,
        joined_at=row.created_at,
        last_login=row.user.last_login,
    )


@dataclass(frozen=True, slots=True)
class SentInvitation:
    """An invitation as pages show it; `by` names who sent it, where the reader may know."""

    row: Invitation
    state: str
    by: str
    can_be_changed: bool

    @property
    def public_id(self) -> str:
        return self.row.public_id


def invitations(*, actor: Actor, state: str = "") -> QuerySet[Invitation]:
    """Invitations of the actor's own tenant and those that its people sent into a merchant, newest
    first; with `state` those that are in it (`Invitation.state`).
    """
    own = Q(**own_tenant(actor))
    sent = Q(invited_by_id__in=own_memberships(actor).values("user_id"))
    rows = Invitation.objects.filter(own | sent).order_by("-id")
    return rows.filter(_IN_STATE[state](timezone.now())) if state else rows


_NOT_ANSWERED: Final = Q(accepted_at__isnull=True, revoked_at__isnull=True)
_IN_STATE: Final[dict[str, Callable[[datetime], Q]]] = {
    "sent": lambda now: _NOT_ANSWERED & Q(expires_at__gt=now),
    "expired": lambda now: _NOT_ANSWERED & Q(expires_at__lte=now),
    "accepted": lambda now: Q(accepted_at__isnull=False),
    "withdrawn": lambda now: Q(accepted_at__isnull=True, revoked_at__isnull=False),
}
INVITATION_STATES: Final = tuple(_IN_STATE)


def invitations_of_team(*, actor: Actor) -> list[SentInvitation]:
    """What became of the invitations into the actor's own tenant, the latest of each address."""
    return _latest(actor, Invitation.objects.filter(**own_tenant(actor)))


def owner_invitations(*, actor: Actor, merchant_id: UUID) -> list[SentInvitation]:
    """What became of the invitations of a merchant's first owner, the latest of each address.

    Those that the merchant's own people sent are the merchant's alone.
    """
    own_people = Membership.objects.filter(level=Level.MERCHANT, merchant_id=merchant_id)
    rows = Invitation.objects.filter(
        level=Level.MERCHANT, merchant_id=merchant_id, role=Role.OWNER
    ).exclude(invited_by_id__in=own_people.values("user_id"))
    return _latest(actor, rows)


def _latest(actor: Actor, rows: QuerySet[Invitation]) -> list[SentInvitation]:
    """Open ones, and what has ended in the last days; a replaced one is not shown."""
    now = timezone.now()
    recent = rows.filter(_NOT_ANSWERED | Q(created_at__gt=now - INVITATIONS_SHOWN_FOR))
    latest: dict[str, Invitation] = {}
    for row in recent.order_by("-id")[:INVITATIONS_SHOWN]:
        latest.setdefault(row.email, row)
    names = {
        each.user_id: each.name or each.email for each in map(member_of, own_memberships(actor))
    }
    level = policies.level_of(actor)
    return [
        SentInvitation(
            row=row,
            state=row.state(now),
            by=names.get(row.invited_by_id, "") if row.invited_by_id else "",
            can_be_changed=row.state(now) in ("sent", "expired")
            and (row.level == level or row.invited_by_id in names),
        )
        for row in latest.values()
    ]


def merchants(*, actor: Actor, status: str = "", search: str = "") -> QuerySet[Merchant]:
    """The merchants of the actor's reseller (all of them for staff), newest first.

    ``search`` finds part of a name.
    """
    rows = Merchant.objects.all()
    if actor.merchant_id is not None:
        rows = rows.filter(id=actor.merchant_id)
    elif actor.reseller_id is not None:
        rows = rows.filter(reseller_id=actor.reseller_id)
    elif not actor.platform:
        rows = rows.none()
    if status:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(name__icontains=search)
    return rows.order_by("-id")


def merchant_get(*, actor: Actor, merchant_id: UUID) -> Merchant:
    """One merchant. Raises NotFound for a foreign one."""
    row = merchants(actor=actor).filter(id=merchant_id).first()
    if row is None:
        raise errors.NotFound("There is no such merchant.")
    return row


def has_owner(*, actor: Actor, merchant_id: UUID) -> bool:
    """Whether a merchant has an owner already, who then names all others."""
    return Membership.objects.filter(
        level=Level.MERCHANT, merchant_id=merchant_id, role=Role.OWNER
    ).exists()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a merchant needs for live payments, and what to do where it is not met."""

    label: str
    met: bool
    what_to_do: str


def needed_for_live(merchant: Merchant) -> list[Requirement]:
    """What a merchant needs before it is activated, in the staff's scope."""
    return [
        Requirement(
            "Legal name", bool(merchant.legal_name), "Enter its legal name (Correct details)."
        ),
        Requirement("Country", bool(merchant.country), "Enter its country (Correct details)."),
        Requirement(
            "Currency", bool(merchant.default_currency), "Sign it up with a default currency."
        ),
        Requirement(
            "Owner with a second factor",
            _has_protected_owner(merchant.id),
            "Its owner has to accept the invitation and set up a second factor.",
        ),
        Requirement(
            "Active reseller",
            merchant.reseller.status == TenantStatus.ACTIVE,
            "Activate its reseller first.",
        ),
    ]


def _has_protected_owner(merchant_id: UUID) -> bool:
    owners = Membership.objects.filter(
        level=Level.MERCHANT, merchant_id=merchant_id, role=Role.OWNER, user__is_active=True
    )
    return any(has_confirmed_totp(user_id=found) for found in owners.values_list("user", flat=True))


def reseller_of(*, actor: Actor) -> Reseller | None:
    """The actor's own reseller, readable from a reseller's seat."""
    if actor.reseller_id is None:
        return None
    return Reseller.objects.filter(id=actor.reseller_id).first()


def agent_merchants(*, actor: Actor, user_id: UUID) -> list[Merchant]:
    """The merchants that a reseller granted to one of its agents."""
    granted = MerchantGrant.objects.filter(user_id=user_id).values("content_object_id")
    return list(merchants(actor=actor).filter(id__in=granted))


@dataclass(frozen=True, slots=True)
class Figure:
    """A number on the admin's overview, with its list. ``urgent`` waits for a person."""

    label: str
    count: int
    url_name: str
    query: str = ""
    urgent: bool = False


def platform_figures() -> list[Figure]:
    """What the platform's staff sees first; runs in the staff scope, one statement."""
    row = (
        fetch_one(
            "SELECT count(*) FILTER (WHERE status = 'active'),"
            " count(*) FILTER (WHERE status = 'pending'),"
            " count(*) FILTER (WHERE status = 'suspended'),"
            " (SELECT count(*) FROM tenants_reseller),"
            " (SELECT count(*) FROM tenants_user WHERE is_active),"
            " (SELECT count(*) FROM core_outboxevent WHERE quarantined_at IS NOT NULL"
            "    AND delivered_at IS NULL),"
            " (SELECT count(*) FROM core_inboxmessage WHERE state IN ('failed', 'quarantined')),"
            " (SELECT count(*) FROM tenants_personchange"
            "    WHERE state = 'proposed' AND expires_at > now()),"
            " (SELECT count(*) FROM tenants_tenantchange"
            "    WHERE state = 'proposed' AND expires_at > now())"
            " FROM tenants_merchant"
        )
        or (0,) * 9
    )
    merchants_url = "admin:tenants_merchant_changelist"
    return [
        Figure("Active merchants", row[0], merchants_url, "status__exact=active"),
        Figure("Pending merchants", row[1], merchants_url, "status__exact=pending", row[1] > 0),
        Figure("Suspended merchants", row[2], merchants_url, "status__exact=suspended"),
        Figure("Resellers", row[3], "admin:tenants_reseller_changelist"),
        Figure("Active people", row[4], "admin:tenants_user_changelist", "is_active__exact=1"),
        Figure(
            "Quarantined events",
            row[5],
            "admin:core_outboxevent_changelist",
            "quarantined_at__isempty=0",
            row[5] > 0,
        ),
        Figure(
            "Changes to people that wait",
            row[7],
            "admin:tenants_personchange_changelist",
            "state__exact=proposed",
            row[7] > 0,
        ),
        Figure(
            "Changes to tenants that wait",
            row[8],
            "admin:tenants_tenantchange_changelist",
            "state__exact=proposed",
            row[8] > 0,
        ),
        Figure("Failed webhooks in", row[6], "admin:core_inboxmessage_changelist", "", row[6] > 0),
    ]


def own_tenant(actor: Actor) -> dict[str, object]:
    """The filter that picks rows of the actor's own level, not of the levels below."""
    if actor.merchant_id is not None:
        return {"level": Level.MERCHANT, "merchant_id": actor.merchant_id}
    if actor.reseller_id is not None:
        return {"level": Level.RESELLER, "reseller_id": actor.reseller_id}
    return {"level": Level.PLATFORM}


def has_confirmed_totp(*, user_id: UUID) -> bool:
    """Whether the person has an authenticator; works before a scope is open."""
    return (
        fetch_one("SELECT 1 FROM tenants_totpdevice WHERE user_id = %s AND confirmed", [user_id])
        is not None
    )
