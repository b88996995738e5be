"""Invitations, memberships, and a reseller's agents."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.utils import timezone

from core import errors
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent
from tenants import mail, selectors
from tenants.models import Invitation, Membership, User
from tenants.seats import seats_of
from tenants.services import team
from tests.factories import Tenants, make_merchant, make_tenants

NEW = "A new long passphrase 42"


def invite(t: Tenants, email: str, role: str = "viewer", **more: object) -> Invitation:
    return team.invitation_create(
        actor=t.actor("owner"),
        email=email,
        role=role,
        **more,  # type: ignore[arg-type]
    )


def memberships_of(email: str) -> list[tuple[str, str]]:
    with tenant_atomic(Scope.staff()):
        return list(Membership.objects.filter(user__email=email).values_list("level", "role"))


def test_an_invitation_is_mailed_accepted_and_becomes_a_membership() -> None:
    t = make_tenants()
    email = f"new.{t.merchant.id.hex}@example.test"
    row = invite(t, email.upper(), "developer")
    with tenant_atomic(t.scope):
        event = OutboxEvent.objects.get(type="invitation.created", aggregate=row.public_id)
        assert AuditRecord.objects.filter(action="invitation.created").count() == 1
    assert event.payload == {}
    assert mail.invitation_mail(invitation_id=row.id)
    sent = outbox.outbox[-1]
    assert sent.to == [email]
    token = sent.body.split("/invitations/")[1].split()[0]
    person = team.invitation_accept(token=token, name="New Person", password=NEW, ip=None)
    assert person.check_password(NEW)
    assert memberships_of(email) == [("merchant", "developer")]
    with pytest.raises(errors.NotFound):
        team.invitation_accept(token=token, name="Again", password=NEW, ip=None)


def test_a_weak_password_accepts_nothing() -> None:
    t = make_tenants()
    row = invite(t, f"weak.{t.merchant.id.hex}@example.test")
    with pytest.raises(errors.InvalidRequest) as caught:
        team.invitation_accept(
            token=team.invitation_token(row.id), name="W", password="password", ip=None
        )
    assert caught.value.param == "password"
    assert memberships_of(row.email) == []


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_an_ended_invitation_is_gone(end: str) -> None:
    t = make_tenants()
    row = invite(t, f"late.{t.merchant.id.hex}@example.test")
    if end == "revoked":
        team.invitation_revoke(actor=t.actor("admin"), invitation_id=row.id)
    else:
        with tenant_atomic(t.scope):
            Invitation.objects.filter(id=row.id).update(
                expires_at=timezone.now() - timedelta(seconds=1)
            )
    with pytest.raises(errors.NotFound):
        team.invitation_accept(token=team.invitation_token(row.id), name="L", password=NEW, ip=None)
    assert not mail.invitation_mail(invitation_id=row.id)
    assert memberships_of(row.email) == []


def test_a_second_invitation_replaces_the_first() -> None:
    t = make_tenants()
    email = f"twice.{t.merchant.id.hex}@example.test"
    first, second = invite(t, email), invite(t, email, "admin")
    with pytest.raises(errors.NotFound):
        team.invitation_find(token=team.invitation_token(first.id))
    assert team.invitation_find(token=team.invitation_token(second.id)).role == "admin"


def test_a_known_person_joins_by_logging_in() -> None:
    t, other = make_tenants(), make_tenants()
    person = other.users["merchant.viewer"]
    token = team.invitation_token(invite(t, person.email).id)
    with pytest.raises(errors.Conflict) as caught:
        team.invitation_accept(token=token, name="X", password=NEW, ip=None)
    assert caught.value.code == "login_required"
    with pytest.raises(errors.Conflict) as caught:
        team.invitation_accept(
            token=token, name="", password="", ip=None, user=other.users["merchant.admin"]
        )
    assert caught.value.code == "wrong_account"
    team.invitation_accept(token=token, name="", password="", ip=None, user=person)
    assert {seat.merchant_id for seat in seats_of(user_id=person.id)} == {
        t.merchant.id,
        other.merchant.id,
    }


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_who_may_not_manage_the_team_invites_nobody(role: str) -> None:
    t = make_tenants()
    with pytest.raises(errors.PermissionDenied):
        team.invitation_create(actor=t.actor(role), email="a@example.test", role="viewer")
    with tenant_atomic(t.scope):
        assert Invitation.objects.count() == 0


def test_only_an_owner_makes_owners() -> None:
    t = make_tenants()
    with pytest.raises(errors.PermissionDenied) as caught:
        team.invitation_create(actor=t.actor("admin"), email="o@example.test", role="owner")
    assert caught.value.code == "owner_required"
    target = t.memberships["merchant.viewer"].id
    with pytest.raises(errors.PermissionDenied):
        team.membership_change_role(actor=t.actor("admin"), membership_id=target, role="owner")
    with pytest.raises(errors.PermissionDenied):
        team.membership_remove(
            actor=t.actor("admin"), membership_id=t.memberships["merchant.owner"].id
        )
    assert {row.role for row in _members(t)} == {"owner", "admin", "developer", "viewer"}


def test_the_last_owner_stays() -> None:
    t = make_tenants()
    owner = t.memberships["merchant.owner"].id
    with pytest.raises(errors.Conflict) as caught:
        team.membership_remove(actor=t.actor("owner"), membership_id=owner)
    assert caught.value.code == "last_owner"
    with pytest.raises(errors.Conflict):
        team.membership_change_role(actor=t.actor("owner"), membership_id=owner, role="admin")
    team.membership_change_role(
        actor=t.actor("owner"), membership_id=t.memberships["merchant.admin"].id, role="owner"
    )
    team.membership_remove(actor=t.actor("owner"), membership_id=owner)
    assert [row.role for row in _members(t)] == ["owner", "developer", "viewer"]


def _members(t: Tenants) -> list[selectors.Member]:
    with tenant_atomic(t.scope):
        return selectors.members(actor=t.actor("viewer"))


def test_foreign_members_and_invitations_do_not_exist() -> None:
    t, other = make_tenants(), make_tenants()
    foreign = other.memberships["merchant.viewer"].id
    for act in (
        lambda: team.membership_remove(actor=t.actor("owner"), membership_id=foreign),
        lambda: team.membership_change_role(
            actor=t.actor("owner"), membership_id=foreign, role="admin"
        ),
        lambda: team.invitation_revoke(
            actor=t.actor("owner"), invitation_id=invite(other, "f@example.test").id
        ),
        lambda: invite(t, "f@example.test", merchant_id=other.merchant.id),
    ):
        with pytest.raises(errors.NotFound):
            act()
    assert len(_members(other)) == 4


def test_a_reseller_invites_the_first_owner_of_its_merchant_only() -> None:
    t, other = make_tenants(), make_tenants()
    second = make_merchant(t)
    actor = t.actor("admin", level="reseller")
    row = team.invitation_create(
        actor=actor,
        email=f"first.{second.merchant.id.hex}@example.test",
        role="owner",
        merchant_id=second.merchant.id,
    )
    assert (row.level, row.merchant_id) == ("merchant", second.merchant.id)
    with pytest.raises(errors.NotFound):
        team.invitation_create(
            actor=actor, email="x@example.test", role="owner", merchant_id=other.merchant.id
        )


def test_an_agent_sits_in_the_granted_merchants_and_nowhere_else() -> None:
    t, other = make_tenants(), make_tenants()
    second = make_merchant(t)
    actor, agent = t.actor("owner", level="reseller"), t.users["reseller.viewer"]
    membership = t.memberships["reseller.viewer"].id
    assert [seat.level for seat in seats_of(user_id=agent.id)] == ["reseller"]
    team.agent_set(actor=actor, membership_id=membership, merchant_ids=[second.merchant.id])
    seats = seats_of(user_id=agent.id)
    assert [(seat.level, seat.merchant_id, seat.role) for seat in seats] == [
        ("merchant", second.merchant.id, "viewer")
    ]
    assert seats[0].scope() == Scope.merchant(second.merchant.id)
    with pytest.raises(errors.NotFound):
        team.agent_set(actor=actor, membership_id=membership, merchant_ids=[other.merchant.id])
    assert len(seats_of(user_id=agent.id)) == 1
    team.agent_set(actor=actor, membership_id=membership, merchant_ids=[])
    assert [seat.level for seat in seats_of(user_id=agent.id)] == ["reseller"]


def test_inviting_a_member_again_is_a_conflict() -> None:
    t = make_tenants()
    with pytest.raises(errors.Conflict) as caught:
        invite(t, t.users["merchant.viewer"].email)
    assert caught.value.code == "already_member"


def test_a_new_person_of_the_platform_would_be_staff_and_nobody_else() -> None:
    t = make_tenants()
    row = invite(t, f"plain.{t.merchant.id.hex}@example.test")
    team.invitation_accept(token=team.invitation_token(row.id), name="P", password=NEW, ip=None)
    with tenant_atomic(Scope.staff()):
        assert not User.objects.get(email=row.email).is_staff
