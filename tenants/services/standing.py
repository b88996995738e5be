"""Which tenants may trade: pending, active, suspended, closed; with a reason each time.

`TENANT_MOVES` (tenants.models.tree) says which status may follow which, `TENANT_STATUS`
(tenants.policies) who may give it, and with whom. An activation opens live mode: it waits for a
second person, and needs what `tenants.selectors.needed_for_live` lists. Runs in the staff's scope.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import tenant_atomic
from core.unit import Writes
from tenants import events, policies, selectors
from tenants.lock_objects import lock_tenant, lock_tenant_change
from tenants.models import Merchant, Reseller, TenantChange, TenantStatus
from tenants.models.tree import TENANT_MOVES

PROPOSAL_LIFETIME: Final = timedelta(days=3)


def tenant_set_status(
    *,
    actor: Actor,
    status: str,
    reason: str,
    merchant_id: UUID | None = None,
    reseller_id: UUID | None = None,
) -> TenantChange | None:
    """Activate, suspend or close a merchant, or a reseller.

    Returns None when it is done, or the proposal that waits for a second person.

    Raises:
        InvalidRequest: an unknown status, or no reason.
        Conflict: the status is the tenant's own or does not follow it (``tenant_status_conflict``,
            ``tenant_closed``), something is missing (``tenant_incomplete``), or the same is
            proposed already.
        PermissionDenied: the actor's role may not even propose it. NotFound.
    """
    if status not in TenantStatus.values:
        raise errors.InvalidRequest("Unknown status.", code="status_unknown", param="status")
    cleaned = " ".join(reason.split())[:500]
    if not cleaned:
        raise errors.InvalidRequest("Say why: the reason is kept.", param="reason")
    with tenant_atomic(actor.scope):
        tenant = lock_tenant(merchant_id=merchant_id, reseller_id=reseller_id)
        refuse_status(tenant, status)
        rule = policies.TENANT_STATUS.get(TenantStatus(status), policies.Acts())
        if actor.role in rule.alone:
            _set(actor, tenant, status, reason=cleaned)
            return None
        if actor.role not in rule.proposes or actor.user_id is None:
            raise errors.PermissionDenied(
                f"Your role does not make a tenant {status}.", code="person_protected"
            )
        return _propose(actor, actor.user_id, tenant, status, reason=cleaned)


def tenant_change_confirm(*, actor: Actor, change_id: UUID) -> TenantChange:
    """Let a proposed status happen; what it needs is asked again.

    Raises PermissionDenied: the actor proposed it or may not confirm (``second_person_required``).
    Conflict: it was decided, has expired, or the tenant has changed since.
    """
    with tenant_atomic(actor.scope):
        change = _open_change(change_id)
        rule = policies.TENANT_STATUS[TenantStatus(change.status)]
        if not may_confirm(actor, change):
            raise errors.PermissionDenied(
                "A second person has to confirm this: not the one who proposed it, and of "
                f"{' or '.join(sorted(rule.confirms))}.",
                code="second_person_required",
            )
        if change.expires_at <= timezone.now():
            raise errors.Conflict(
                "This waited for more than three days. Propose it again.", code="proposal_expired"
            )
        roles = selectors.roles_of(change.proposed_by_id)
        if not change.proposed_by.is_active or not {*roles} & (rule.alone | rule.proposes):
            raise errors.Conflict(
                f"{change.proposed_by.email} is no longer allowed to propose this. Reject it.",
                code="proposer_gone",
            )
        tenant = lock_tenant(merchant_id=change.merchant_id, reseller_id=change.reseller_id)
        refuse_status(tenant, change.status)
        _decide(actor, change, TenantChange.State.CONFIRMED, tenant)
        _set(actor, tenant, change.status, reason=change.reason, proposal=change)
    return change


def tenant_change_reject(*, actor: Actor, change_id: UUID) -> TenantChange:
    """Close a proposal without a change: who may confirm it does, or who proposed it takes it back.

    Raises PermissionDenied, or Conflict when it was decided before.
    """
    with tenant_atomic(actor.scope):
        change = _open_change(change_id)
        if actor.user_id != change.proposed_by_id and not may_confirm(actor, change):
            raise errors.PermissionDenied(
                "Your role does not decide about this tenant.", code="second_person_required"
            )
        _decide(actor, change, TenantChange.State.REJECTED, change.tenant)
    return change


def may_confirm(actor: Actor, change: TenantChange) -> bool:
    """Whether the actor is a second person for this change."""
    rule = policies.TENANT_STATUS.get(TenantStatus(change.status), policies.Acts())
    return (
        actor.user_id is not None
        and actor.user_id != change.proposed_by_id
        and actor.role in rule.confirms
    )


def refuse_status(tenant: Merchant | Reseller, status: str) -> None:
    """Raise Conflict where `status` does not follow the tenant's own, or something is missing."""
    if tenant.status == TenantStatus.CLOSED:
        raise errors.Conflict("A closed tenant stays closed.", code="tenant_closed")
    if tenant.status == status:
        raise errors.Conflict(f"{tenant.name} is {status} already.", code="tenant_status_conflict")
    allowed = TENANT_MOVES[tenant.status]
    if status not in allowed:
        raise errors.Conflict(
            f"{tenant.name} is {tenant.status}, so it can become {' or '.join(sorted(allowed))}, "
            f"not {status}.",
            code="tenant_status_conflict",
        )
    if status != TenantStatus.ACTIVE or isinstance(tenant, Reseller):
        return
    missing = [each.what_to_do for each in selectors.needed_for_live(tenant) if not each.met]
    if missing:
        raise errors.Conflict(
            f"{tenant.name} cannot take live payments yet. {' '.join(missing)}",
            code="tenant_incomplete",
        )


def _propose(
    actor: Actor, proposer_id: UUID, tenant: Merchant | Reseller, status: str, *, reason: str
) -> TenantChange:
    merchant = tenant if isinstance(tenant, Merchant) else None
    reseller = tenant if isinstance(tenant, Reseller) else None
    change = TenantChange(
        merchant=merchant,
        reseller=reseller,
        status=status,
        reason=reason,
        proposed_by_id=proposer_id,
        expires_at=timezone.now() + PROPOSAL_LIFETIME,
    )
    waiting = TenantChange.objects.filter(
        Q(merchant=merchant) if merchant else Q(reseller=reseller),
        state=TenantChange.State.PROPOSED,
        expires_at__gt=timezone.now(),
    )
    if waiting.exists():
        raise errors.Conflict(
            "A change of this tenant is proposed already and waits for a second person.",
            code="proposed_already",
        )
    writes = Writes()
    writes.insert(change)
    writes.record(
        tenant,
        action=f"{_kind(tenant)}.status_proposed",
        event=None,
        actor=actor,
        after={"proposal": change.public_id, "status": status, "reason": reason},
    )
    writes.flush()
    return change


def _open_change(change_id: UUID) -> TenantChange:
    change = lock_tenant_change(change_id)
    if change.state != TenantChange.State.PROPOSED:
        raise errors.Conflict(f"This was {change.state} already.", code="decided_already")
    return change


def _decide(
    actor: Actor, change: TenantChange, state: TenantChange.State, tenant: Merchant | Reseller
) -> None:
    change.state = state
    change.decided_by_id = actor.user_id
    change.decided_at = timezone.now()
    writes = Writes()
    writes.update(change, "state", "decided_by", "decided_at")
    writes.record(
        tenant,
        action=f"{_kind(tenant)}.status_{state.value}",
        event=None,
        actor=actor,
        after={"proposal": change.public_id, "status": change.status},
    )
    writes.flush()


def _set(
    actor: Actor,
    tenant: Merchant | Reseller,
    status: str,
    *,
    reason: str,
    proposal: TenantChange | None = None,
) -> None:
    before, tenant.status = tenant.status, status
    after = {"status": status, "reason": reason}
    if proposal is not None:
        after |= {"proposal": proposal.public_id, "proposed_by": proposal.proposed_by.public_id}
    writes = Writes()
    writes.update(tenant, "status", expect={"status": before}, what=tenant.name)
    writes.record(
        tenant,
        action=f"{_kind(tenant)}.status_changed",
        event=(
            events.MERCHANT_STATUS_CHANGED
            if isinstance(tenant, Merchant)
            else events.RESELLER_STATUS_CHANGED
        ),
        actor=actor,
        before={"status": before},
        after=after,
        payload={"id": tenant.public_id, "status": status},
    )
    writes.flush()


def _kind(tenant: Merchant | Reseller) -> str:
    return "merchant" if isinstance(tenant, Merchant) else "reseller"
