"""The one place where rows of tenants and people are locked: briefly, by primary key."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from core import errors
from core.context import Actor
from tenants import selectors
from tenants.models import (
    ApiKey,
    DueMail,
    Invitation,
    Level,
    Membership,
    Merchant,
    PersonChange,
    Reseller,
    Role,
    TenantChange,
    User,
)

# A lease moves the due time on, twice as far each time: two workers do not send the same, one that
# is killed repeats it, and what could not be sent waits behind the others.
_LEASE_MAIL: Final = """
UPDATE tenants_duemail AS m
   SET attempts = m.attempts + 1,
       due_at = clock_timestamp() + make_interval(secs => least(60 * 2 ^ m.attempts, 3600))
 WHERE m.id IN (
   SELECT id FROM tenants_duemail WHERE due_at <= clock_timestamp()
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING m.*
"""


def lock_user(user_id: UUID | None) -> User | None:
    """The person: tokens of one person are issued and revoked one after the other."""
    if user_id is None:
        return None
    return User.objects.select_for_update(no_key=True).filter(id=user_id).first()


def lock_tenant(*, merchant_id: UUID | None, reseller_id: UUID | None) -> Merchant | Reseller:
    """The merchant, or without one the reseller: invitations into it are made one by one.

    Raises NotFound: none in this scope.
    """
    if merchant_id is not None:
        return lock_merchant(merchant_id)
    resellers = Reseller.objects.select_for_update(no_key=True)
    row = resellers.filter(id=reseller_id).first() if reseller_id is not None else None
    if row is None:
        raise errors.NotFound("There is no such reseller.", param="reseller")
    return row


def lock_merchant(merchant_id: UUID) -> Merchant:
    """The merchant. Raises NotFound: none in this scope."""
    row = Merchant.objects.select_for_update(no_key=True).filter(id=merchant_id).first()
    if row is None:
        raise errors.NotFound("There is no such merchant.", param="merchant")
    return row


def lock_invitation(rows: QuerySet[Invitation], invitation_id: UUID) -> Invitation:
    """The invitation, one of `rows`. Raises NotFound."""
    row = rows.select_for_update().filter(id=invitation_id).first()
    if row is None:
        raise errors.NotFound("There is no such invitation.")
    return row


def lock_invitations(rows: QuerySet[Invitation]) -> list[Invitation]:
    """Those of `rows` that are still among them once no other transaction holds them."""
    return list(rows.select_for_update().order_by("pk"))


def lock_membership(actor: Actor, membership_id: UUID) -> tuple[Membership, int]:
    """The membership, of the actor's own tenant and level, and how many owners that has.

    Member and owners are locked in one order by one statement: two owners who demote each other
    then wait for one another, and the second one finds itself the last.

    Raises NotFound for a membership of any other tenant, of a merchant of the actor's reseller too.
    """
    rows = list(
        selectors.own_memberships(actor)
        .filter(Q(id=membership_id) | Q(role=Role.OWNER))
        .select_for_update(of=("self",))
        .order_by("id")
    )
    row = next((found for found in rows if found.id == membership_id), None)
    if row is None:
        raise errors.NotFound("There is no such member.")
    return row, sum(found.role == Role.OWNER for found in rows)


def lock_api_key(*, merchant_id: UUID, key_id: UUID) -> ApiKey:
    """The merchant's key. Raises NotFound for another merchant's."""
    row = ApiKey.objects.select_for_update().filter(id=key_id, merchant_id=merchant_id).first()
    if row is None:
        raise errors.NotFound("There is no such API key.")
    return row


def lock_tenant_change(change_id: UUID) -> TenantChange:
    """The proposed status of a tenant, with that tenant. Raises NotFound."""
    row = (
        TenantChange.objects.select_related("merchant", "reseller", "proposed_by")
        .defer("proposed_by__password")
        .select_for_update(of=("self",))
        .filter(id=change_id)
        .first()
    )
    if row is None:
        raise errors.NotFound("There is no such proposal.")
    return row


def lock_person_change(change_id: UUID) -> PersonChange:
    """The proposed change to a person, with that person. Raises NotFound."""
    row = (
        PersonChange.objects.select_related("user", "proposed_by")
        .defer("user__password", "proposed_by__password")
        .select_for_update(of=("self",))
        .filter(id=change_id)
        .first()
    )
    if row is None:
        raise errors.NotFound("There is no such proposal.")
    return row


def lock_staff_membership(membership_id: UUID) -> Membership:
    """The membership of one of the platform's own people. Raises NotFound."""
    row = (
        Membership.objects.select_for_update()
        .filter(id=membership_id, level=Level.PLATFORM)
        .first()
    )
    if row is None:
        raise errors.NotFound("There is no such member of the staff.")
    return row


def lease_due_mail() -> DueMail | None:
    """The mail that is due longest, leased for its next delay."""
    return next(iter(DueMail.objects.raw(_LEASE_MAIL)), None)
