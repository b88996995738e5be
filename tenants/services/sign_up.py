"""How tenants begin, each with its first person: the platform, a reseller, a merchant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.unit import Writes
from tenants.lock_objects import lock_tenant
from tenants.models import (
    Invitation,
    Level,
    Membership,
    Merchant,
    Platform,
    Reseller,
    Role,
    User,
)
from tenants.models.people import PLATFORM_ROLES
from tenants.services.merchants import clean_name, merchant_create, reseller_create
from tenants.services.team import (
    TenantPlace,
    clean_email,
    invitation_create,
    invite,
    refuse_second_owner,
    staff_account_needed,
)

#: The operator who runs commands on the machine; before the first person there is none to name.
SETUP: Final = Actor.system("setup")


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a set-up found or made; ``invitation`` is None for a person who is a member already."""

    platform: Platform
    made: bool
    invitation: Invitation | None


def platform_set_up(*, name: str, email: str, role: str = Role.COMPLIANCE) -> SetUp:
    """Make the platform if there is none, and invite a member of its staff.

    Safe to repeat: a platform that exists keeps its name, an invitation that is still good is
    returned again, and a member stays one. No permission is asked: it is the machine's operator.

    Raises InvalidRequest: bad address or role, or no name for a platform that has yet to be made;
    Conflict: the address has an account outside the staff (``staff_account_needed``).
    """
    address = clean_email(email)
    if role not in PLATFORM_ROLES:
        raise errors.InvalidRequest(
            f"role is one of {', '.join(PLATFORM_ROLES)}.", code="role_unknown", param="role"
        )
    with tenant_atomic(Scope.staff()):
        # Two set-ups at once must not make two platforms.
        fetch_one("SELECT pg_advisory_xact_lock(727422)")
        platform = _platform_find()
        made = platform is None
        if platform is None:
            platform = _platform_make(name)
        place: TenantPlace = {
            "level": Level.PLATFORM,
            "platform_id": platform.id,
            "reseller_id": None,
            "merchant_id": None,
        }
        if Membership.objects.filter(user__email=address, platform_id=platform.id).exists():
            return SetUp(platform, made, None)
        if User.objects.filter(email=address, is_staff=False).exists():
            raise staff_account_needed(address)
        open_one = Invitation.objects.filter(
            email=address,
            role=role,
            platform_id=platform.id,
            accepted_at__isnull=True,
            revoked_at__isnull=True,
            expires_at__gt=timezone.now(),
        ).first()
        row = open_one or invite(actor=SETUP, email=address, role=role, place=place)
    return SetUp(platform, made, row)


def reseller_sign_up(
    *,
    actor: Actor,
    platform_id: UUID,
    name: str,
    country: str,
    owner_email: str,
    legal_name: str = "",
) -> Reseller:
    """Make a reseller and invite its first owner (compliance staff), both or neither.

    Raises InvalidRequest, NotFound for the platform.
    """
    with tenant_atomic(actor.scope):
        row = reseller_create(
            actor=actor, platform_id=platform_id, name=name, country=country, legal_name=legal_name
        )
        owner_invite(actor=actor, reseller_id=row.id, email=owner_email)
    return row


def merchant_sign_up(*, actor: Actor, owner_email: str = "", **merchant: str) -> Merchant:
    """Make a merchant (the fields of ``merchant_create``) and invite its first owner, both or
    neither; without an address no one is invited.

    Raises PermissionDenied, InvalidRequest.
    """
    with tenant_atomic(actor.scope):
        row = merchant_create(actor=actor, **merchant)
        if owner_email.strip():
            invitation_create(actor=actor, email=owner_email, role=Role.OWNER, merchant_id=row.id)
    return row


def owner_invite(
    *, actor: Actor, email: str, merchant_id: UUID | None = None, reseller_id: UUID | None = None
) -> Invitation:
    """Invite the first owner of a merchant, or a reseller, that has none (compliance staff).

    Raises PermissionDenied where there is an owner, Conflict where another person is invited.
    """
    address = clean_email(email)
    with tenant_atomic(actor.scope):
        tenant = lock_tenant(merchant_id=merchant_id, reseller_id=reseller_id)
        place: TenantPlace = {
            "level": Level.MERCHANT if merchant_id else Level.RESELLER,
            "platform_id": None,
            "reseller_id": tenant.reseller_id if isinstance(tenant, Merchant) else tenant.id,
            "merchant_id": merchant_id,
        }
        refuse_second_owner(place, email=address)
        return invite(actor=actor, email=address, role=Role.OWNER, place=place)


def _platform_find() -> Platform | None:
    return Platform.objects.order_by("id").first()


def _platform_make(name: str) -> Platform:
    row = Platform(name=clean_name(name))
    writes = Writes()
    writes.insert(row)
    writes.record(row, action="platform.created", event=None, actor=SETUP, after={"name": row.name})
    writes.flush()
    return row
