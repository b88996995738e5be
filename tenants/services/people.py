"""What staff does to people: at once where the table allows it, else with a second person.

``tenants.policies.PEOPLE`` says who may act on whom. A change that needs two persons is a row that
waits; the second one confirms or rejects it. Runs in the staff's scope.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from core import errors
from core.context import Actor
from core.db import tenant_atomic
from core.unit import Writes
from tenants import policies
from tenants.lock_objects import lock_person_change, lock_staff_membership, lock_user
from tenants.models import Level, Membership, PersonChange, User
from tenants.models.people import PLATFORM_ROLES
from tenants.policies import PersonAction
from tenants.selectors import roles_of
from tenants.services.second_factor import second_factor_remove

PROPOSAL_LIFETIME: Final = timedelta(days=3)


def person_change(
    *, actor: Actor, action: PersonAction, user_id: UUID, reason: str
) -> PersonChange | None:
    """Deactivate or activate a person, or take the second factor away.

    Returns None when it is done, or the proposal that waits for a second person.

    Raises:
        PermissionDenied: the actor's role may not even propose it (``person_protected``).
        Conflict: it is for oneself (``own_account``), or proposed already (``proposed_already``).
        InvalidRequest: no reason.
    """
    change = PersonChange(action=PersonChange.Action(action.value), user_id=user_id)
    return _begin(actor=actor, change=change, reason=reason)


def staff_role_change(
    *, actor: Actor, membership_id: UUID, role: str, reason: str
) -> PersonChange | None:
    """Give one of the platform's own people another role; as `person_change`.

    Raises NotFound for a membership on another level, InvalidRequest for a role of another level.
    """
    if role not in PLATFORM_ROLES:
        raise errors.InvalidRequest(
            f"role is one of {', '.join(PLATFORM_ROLES)}.", code="role_unknown", param="role"
        )
    with tenant_atomic(actor.scope):
        membership = lock_staff_membership(membership_id)
        if membership.role == role:
            raise errors.Conflict("The person has this role already.", code="role_unchanged")
        change = PersonChange(
            action=PersonChange.Action.CHANGE_ROLE,
            user=User.objects.get(id=membership.user_id),
            membership_id=membership.id,
            new_role=role,
        )
        return _begin(actor=actor, change=change, reason=reason)


def person_change_confirm(*, actor: Actor, change_id: UUID) -> PersonChange:
    """Let a proposed change happen.

    Raises:
        PermissionDenied: the actor proposed it, is the person whom it is about, or has no role
            that confirms it (``second_person_required``).
        Conflict: it was decided before, or has expired; or the one who proposed it may not do so
            any more.
    """
    with tenant_atomic(actor.scope):
        change = _open_change(change_id)
        rule = _rule(change)
        if not may_confirm(actor, change):
            raise errors.PermissionDenied(
                "A second person has to confirm this: neither the one who proposed it nor the one "
                f"whom it is about, and of {' or '.join(sorted(rule.confirms))}.",
                code="second_person_required",
            )
        proposer = change.proposed_by
        if not proposer.is_active or not _platform_roles(proposer.id) & (
            rule.alone | rule.proposes
        ):
            raise errors.Conflict(
                f"{proposer.email} is no longer allowed to propose this. Reject it.",
                code="proposer_gone",
            )
        _decide(actor, change, PersonChange.State.CONFIRMED)
        _apply(actor=actor, change=change, proposal=change)
    return change


def person_change_reject(*, actor: Actor, change_id: UUID) -> PersonChange:
    """Close a proposal without a change: who may confirm it does, or who proposed it takes it back.

    Raises PermissionDenied, or Conflict when it was decided before.
    """
    with tenant_atomic(actor.scope):
        change = _open_change(change_id, even_expired=True)
        if actor.user_id != change.proposed_by_id and not may_confirm(actor, change):
            raise errors.PermissionDenied(
                "Your role does not decide about this person.", code="second_person_required"
            )
        _decide(actor, change, PersonChange.State.REJECTED)
    return change


def may_confirm(actor: Actor, change: PersonChange) -> bool:
    """Whether the actor is a second person for this change."""
    return (
        actor.user_id is not None
        and actor.user_id not in (change.proposed_by_id, change.user_id)
        and actor.role in _rule(change).confirms
    )


def _rule(change: PersonChange) -> policies.Acts:
    """Who may do it: by every role that the person has, and the one that is to be given."""
    roles = roles_of(change.user_id)
    if change.membership_id is not None:
        # Roles in tenants stay as they are; what counts is the step from one staff role to another.
        roles = [role for role in roles if role in PLATFORM_ROLES]
    return policies.acts_on(
        level=Level.PLATFORM,
        action=PersonAction(change.action),
        roles=[*roles, *([change.new_role] if change.new_role else [])],
    )


def _begin(*, actor: Actor, change: PersonChange, reason: str) -> PersonChange | None:
    cleaned = " ".join(reason.split())[:500]
    if not cleaned:
        raise errors.InvalidRequest("Say why: the reason is kept.", param="reason")
    if change.user_id == actor.user_id:
        raise errors.Conflict("Ask a colleague: this needs two people.", code="own_account")
    change.reason = cleaned
    with tenant_atomic(actor.scope):
        # One after the other: two proposals of the same at once would both be stored.
        person = lock_user(change.user_id)
        if person is None:
            raise errors.NotFound("There is no such person.")
        change.user = person
        rule = _rule(change)
        if actor.kind == "system" or actor.role in rule.alone:
            _apply(actor=actor, change=change, proposal=None)
            return None
        if actor.role not in rule.proposes or actor.user_id is None:
            raise errors.PermissionDenied(
                "Your role does not allow this for this person.", code="person_protected"
            )
        _propose(actor, actor.user_id, change)
    return change


def _propose(actor: Actor, proposer_id: UUID, change: PersonChange) -> None:
    waiting = PersonChange.objects.filter(
        user_id=change.user_id,
        action=change.action,
        state=PersonChange.State.PROPOSED,
        expires_at__gt=timezone.now(),
    )
    if waiting.exists():
        raise errors.Conflict(
            "This is proposed already and waits for a second person.", code="proposed_already"
        )
    change.proposed_by_id = proposer_id
    change.expires_at = timezone.now() + PROPOSAL_LIFETIME
    writes = Writes()
    writes.insert(change)
    writes.record(
        change.user,
        action="user.change_proposed",
        event=None,
        actor=actor,
        after={**_facts(change), "reason": change.reason},
    )
    writes.flush()


def _open_change(change_id: UUID, *, even_expired: bool = False) -> PersonChange:
    change = lock_person_change(change_id)
    if change.state != PersonChange.State.PROPOSED:
        raise errors.Conflict(f"This was {change.state} already.", code="decided_already")
    if change.expires_at <= timezone.now() and not even_expired:
        raise errors.Conflict(
            "This waited for more than three days. Propose it again.", code="proposal_expired"
        )
    return change


def _decide(actor: Actor, change: PersonChange, state: PersonChange.State) -> None:
    change.state = state
    change.decided_by_id = actor.user_id
    change.decided_at = timezone.now()
    writes = Writes()
    writes.update(change, "state", "decided_by", "decided_at")
    writes.record(
        change.user,
        action=f"user.change_{state.value}",
        event=None,
        actor=actor,
        after=_facts(change),
    )
    writes.flush()


def _apply(*, actor: Actor, change: PersonChange, proposal: PersonChange | None) -> None:
    """Do it, and say in the audit log who asked for it and who agreed."""
    user, writes = change.user, Writes()
    action, before, after = "", None, {"reason": change.reason}
    membership = None
    match change.action:
        case PersonChange.Action.DEACTIVATE | PersonChange.Action.ACTIVATE:
            user.is_active = change.action == PersonChange.Action.ACTIVATE
            writes.update(user, "is_active")
            action = "user.activated" if user.is_active else "user.deactivated"
        case PersonChange.Action.RESET_SECOND_FACTOR:
            second_factor_remove(writes, user_id=user.id)
            action = "user.second_factor_reset"
        case PersonChange.Action.CHANGE_ROLE:
            membership = _membership(change)
            action, before = "membership.role_changed", {"role": membership.role}
            after["role"] = membership.role = change.new_role
            writes.update(membership, "role")
    if proposal is not None:
        after |= {"proposal": proposal.public_id, "proposed_by": proposal.proposed_by.public_id}
    writes.record(
        user,
        action=action,
        event=None,
        actor=actor,
        before=before,
        after=after,
        also=(membership,) if membership else (),
    )
    writes.flush()


def _membership(change: PersonChange) -> Membership:
    """The membership whose role changes, locked. Raises NotFound, it is gone."""
    if change.membership_id is None:
        raise errors.NotFound("There is no such member of the staff.")
    return lock_staff_membership(change.membership_id)


def _platform_roles(user_id: UUID) -> set[str]:
    rows = Membership.objects.filter(user_id=user_id, level=Level.PLATFORM)
    return set(rows.values_list("role", flat=True))


def _facts(change: PersonChange) -> dict[str, Any]:
    facts = {"proposal": change.public_id, "action": str(change.action)}
    return {**facts, "role": change.new_role} if change.new_role else facts
