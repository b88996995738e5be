"""Members of a tenant: their roles, their removal, a reseller's agents."""

from __future__ import annotations

from uuid import UUID

from guardian.shortcuts import assign_perm

from core import errors, ids
from core.context import Actor
from core.db import tenant_atomic
from core.unit import Writes
from tenants import policies
from tenants.lock_objects import lock_membership
from tenants.models import Membership, Merchant, MerchantGrant, Role, User
from tenants.policies import PersonAction
from tenants.services.team import check_role


def membership_change_role(*, actor: Actor, membership_id: UUID, role: str) -> Membership:
    """Give a member another role.

    Raises NotFound for a foreign membership, PermissionDenied where only an owner may, Conflict
    when the tenant would be left without an owner.
    """
    with tenant_atomic(actor.scope):
        row, owners = lock_membership(actor, membership_id)
        check_role(actor, PersonAction.CHANGE_ROLE, role, level=row.level, own=True)
        _guard_owner(actor, PersonAction.CHANGE_ROLE, row)
        if role != Role.OWNER:
            _keep_an_owner(row, owners)
        before, row.role = row.role, role
        writes = Writes()
        writes.update(row, "role")
        writes.record(
            row,
            action="membership.role_changed",
            event=None,
            actor=actor,
            before={"role": before},
            after={"role": role},
        )
        writes.flush()
    return row


def membership_remove(*, actor: Actor, membership_id: UUID) -> None:
    """End a membership; it is gone with the person's next request. Errors as for a role change."""
    with tenant_atomic(actor.scope):
        row, owners = lock_membership(actor, membership_id)
        _guard_owner(actor, PersonAction.REMOVE, row)
        _keep_an_owner(row, owners)
        writes = Writes()
        writes.sql(
            "DELETE FROM tenants_membership WHERE id = %s RETURNING 1",
            [row.id],
            guard="The membership",
        )
        writes.record(
            row,
            action="membership.removed",
            event=None,
            actor=actor,
            before={"role": row.role, "user": ids.encode(User.PREFIX, row.user_id)},
        )
        writes.flush()


def agent_set(*, actor: Actor, membership_id: UUID, merchant_ids: list[UUID]) -> Membership:
    """Make a reseller's member an agent of single merchants; an empty list ends the restriction.

    The merchants are django-guardian grants. Raises NotFound for a foreign membership or merchant.
    """
    if actor.reseller_id is None or actor.merchant_id is not None:
        raise errors.PermissionDenied("Only a reseller has agents.", code="reseller_required")
    with tenant_atomic(actor.scope):
        row, _ = lock_membership(actor, membership_id)
        if not policies.may_act(actor, PersonAction.BIND_AGENT, row.role):
            raise errors.Conflict(
                "Only a member of the reseller who is no owner can be an agent.",
                code="agent_not_possible",
            )
        merchants = list(
            Merchant.objects.filter(id__in=merchant_ids, reseller_id=actor.reseller_id)
        )
        if len(merchants) != len(set(merchant_ids)):
            raise errors.NotFound("One of the merchants does not exist.", param="merchants")
        MerchantGrant.objects.filter(
            user_id=row.user_id, content_object__reseller_id=actor.reseller_id
        ).delete()
        person = User.objects.only("id", "email", "name", "is_active", "is_staff").get(
            id=row.user_id
        )
        for merchant in merchants:
            assign_perm("act_for_merchant", person, merchant)
        row.only_granted = bool(merchants)
        writes = Writes()
        writes.update(row, "only_granted")
        writes.record(
            row,
            action="membership.agent_set",
            event=None,
            actor=actor,
            after={"merchants": sorted(merchant.public_id for merchant in merchants)},
        )
        writes.flush()
    return row


def _guard_owner(actor: Actor, action: PersonAction, row: Membership) -> None:
    if not policies.may_act(actor, action, row.role):
        raise errors.PermissionDenied("Only an owner changes an owner.", code="owner_required")


def _keep_an_owner(row: Membership, owners: int) -> None:
    """Refuse to take the last of ``owners`` away."""
    if row.role == Role.OWNER and owners <= 1:
        raise errors.Conflict(
            "A tenant needs an owner. Make another member an owner first.", code="last_owner"
        )
