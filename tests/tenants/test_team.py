"""Invitations, memberships, and a reseller's agents."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.db import DatabaseError, connections
from django.utils import timezone

from core import errors
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent
from tenants import selectors
from tenants.models import Invitation, Membership, User
from tenants.seats import seats_of
from tenants.services import mail, members, sessions, team
from tenants.services.passwords import check_password_strength
from tests.factories import Tenants, make_merchant, make_tenants
from tests.places import make_place

CHECK = "tenants.services.team.check_password_strength"
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
    assert sessions.password_check(email=email, password=NEW, place=make_place()) == person
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


def age_invitation(row: Invitation, *, by: timedelta = timedelta(days=1, minutes=1)) -> None:
    with tenant_atomic(Scope.staff()):
        Invitation.objects.filter(id=row.id).update(created_at=row.created_at - by)


def test_a_second_invitation_replaces_the_first_a_day_later() -> None:
    t = make_tenants()
    email = f"twice.{t.merchant.id.hex}@example.test"
    first = invite(t, email)
    age_invitation(first)
    second = invite(t, email, "admin")
    with pytest.raises(errors.NotFound):
        team.invitation_find(token=team.invitation_token(first.id))
    assert team.invitation_find(token=team.invitation_token(second.id)).role == "admin"
    with tenant_atomic(t.scope):
        records = AuditRecord.objects.filter(action__startswith="invitation.").order_by("id")
        told = sorted(records.values_list("action", "target", "actor_id"))
    actor = str(t.actor("owner").id)
    assert told == [
        ("invitation.created", first.public_id, actor),
        ("invitation.created", second.public_id, actor),
        ("invitation.revoked", first.public_id, actor),
    ]


@pytest.mark.parametrize("withdrawn", [False, True])
def test_one_tenant_mails_an_address_once_a_day(withdrawn: bool) -> None:
    t = make_tenants()
    email = f"once.{t.merchant.id.hex}@example.test"
    first = invite(t, email)
    age_invitation(first, by=timedelta(hours=20))
    if withdrawn:
        team.invitation_revoke(actor=t.actor("owner"), invitation_id=first.id)
    for _ in range(9):
        with pytest.raises(errors.RateLimited) as refused:
            invite(t, email.upper(), "admin")
        assert refused.value.code == "invited_already"
        assert 3 * 3600 < refused.value.retry_after_s <= 4 * 3600
        assert "be sent in 4 hours" in refused.value.message
        assert ("still good" in refused.value.message) is not withdrawn
    with tenant_atomic(t.scope):
        assert OutboxEvent.objects.filter(type="invitation.created").count() == 1


def test_all_tenants_together_mail_an_address_a_few_times_a_day() -> None:
    reseller = make_tenants()
    email = f"many.{reseller.merchant.id.hex}@example.test"
    tenants = [make_tenants(reseller=reseller.reseller) for _ in range(6)]
    for t in tenants[:5]:
        invite(t, email)
    with pytest.raises(errors.RateLimited) as refused:
        invite(tenants[5], email)
    assert refused.value.code == "mail_sent_already"
    assert 23 * 3600 < refused.value.retry_after_s <= 24 * 3600
    with tenant_atomic(tenants[5].scope):
        assert not Invitation.objects.filter(email=email).exists()
    invite(tenants[5], f"other.{email}")


def test_an_invitation_that_is_refused_is_not_counted() -> None:
    t = make_tenants()
    email = t.users["merchant.viewer"].email
    for _ in range(6):
        with pytest.raises(errors.Conflict):
            invite(t, email)
    invite(make_tenants(), email)


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


def test_only_an_owner_makes_owners() -> None:
    t = make_tenants()
    with pytest.raises(errors.PermissionDenied) as caught:
        team.invitation_create(actor=t.actor("admin"), email="o@example.test", role="owner")
    assert caught.value.code == "owner_required"
    target = t.memberships["merchant.viewer"].id
    with pytest.raises(errors.PermissionDenied):
        members.membership_change_role(actor=t.actor("admin"), membership_id=target, role="owner")
    with pytest.raises(errors.PermissionDenied):
        members.membership_remove(
            actor=t.actor("admin"), membership_id=t.memberships["merchant.owner"].id
        )
    assert {row.role for row in _members(t)} == {"owner", "admin", "developer", "viewer"}


def test_the_last_owner_stays() -> None:
    t = make_tenants()
    owner = t.memberships["merchant.owner"].id
    with pytest.raises(errors.Conflict) as caught:
        members.membership_remove(actor=t.actor("owner"), membership_id=owner)
    assert caught.value.code == "last_owner"
    with pytest.raises(errors.Conflict):
        members.membership_change_role(actor=t.actor("owner"), membership_id=owner, role="admin")
    members.membership_change_role(
        actor=t.actor("owner"), membership_id=t.memberships["merchant.admin"].id, role="owner"
    )
    members.membership_remove(actor=t.actor("owner"), membership_id=owner)
    assert [row.role for row in _members(t)] == ["owner", "developer", "viewer"]


def _members(t: Tenants) -> list[selectors.Member]:
    with tenant_atomic(t.scope):
        return selectors.members(actor=t.actor("viewer"))


def test_foreign_members_and_invitations_do_not_exist() -> None:
    t, other = make_tenants(), make_tenants()
    foreign = other.memberships["merchant.viewer"].id
    for act in (
        lambda: members.membership_remove(actor=t.actor("owner"), membership_id=foreign),
        lambda: members.membership_change_role(
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
    members.agent_set(actor=actor, membership_id=membership, merchant_ids=[second.merchant.id])
    seats = seats_of(user_id=agent.id)
    assert [(seat.level, seat.merchant_id, seat.role) for seat in seats] == [
        ("merchant", second.merchant.id, "viewer")
    ]
    assert seats[0].scope() == Scope.merchant(second.merchant.id)
    with pytest.raises(errors.NotFound):
        members.agent_set(actor=actor, membership_id=membership, merchant_ids=[other.merchant.id])
    assert len(seats_of(user_id=agent.id)) == 1
    members.agent_set(actor=actor, membership_id=membership, merchant_ids=[])
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


@pytest.mark.parametrize(
    "act",
    [
        lambda actor, target: members.membership_remove(actor=actor, membership_id=target),
        lambda actor, target: members.membership_change_role(
            actor=actor, membership_id=target, role="viewer"
        ),
        lambda actor, target: members.agent_set(actor=actor, membership_id=target, merchant_ids=[]),
    ],
)
def test_a_reseller_does_not_reach_into_the_team_of_its_merchant(act: Callable[..., Any]) -> None:
    t = make_tenants()
    with pytest.raises(errors.NotFound):
        act(t.actor("owner", level="reseller"), t.memberships["merchant.admin"].id)
    assert [row.role for row in _members(t)] == ["owner", "admin", "developer", "viewer"]


def test_owners_who_demote_each_other_at_once_leave_one() -> None:
    t = make_tenants()
    first, second = t.memberships["merchant.owner"], t.memberships["merchant.admin"]
    members.membership_change_role(actor=t.actor("owner"), membership_id=second.id, role="owner")
    outcomes = at_once(
        *(
            lambda target=target: members.membership_change_role(
                actor=t.actor("owner"), membership_id=target.id, role="viewer"
            )
            for target in (first, second)
        )
    )
    assert sorted(outcomes) == ["last_owner", "ok"]
    assert [row.role for row in _members(t)].count("owner") == 1


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run the acts in threads that begin together: "ok", or the error's code."""
    outcomes: list[str] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
            outcomes.append("ok")
        except errors.AppError as error:
            outcomes.append(error.code)
        except DatabaseError as error:
            outcomes.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def from_above(t: Tenants, email: str, merchant: Tenants) -> Invitation:
    return team.invitation_create(
        actor=t.actor("admin", level="reseller"),
        email=email,
        role="owner",
        merchant_id=merchant.merchant.id,
    )


def test_a_reseller_makes_no_owner_where_there_is_one() -> None:
    t = make_tenants()
    with pytest.raises(errors.PermissionDenied) as caught:
        from_above(t, t.users["reseller.admin"].email, t)
    assert caught.value.code == "owner_required"
    with tenant_atomic(t.scope):
        assert Invitation.objects.count() == 0


def test_a_merchant_has_one_open_invitation_of_a_first_owner() -> None:
    t = make_tenants()
    second = make_merchant(t)
    first = from_above(t, f"one.{second.merchant.id.hex}@example.test", second)
    age_invitation(first)
    again = from_above(t, first.email, second)
    with pytest.raises(errors.Conflict) as caught:
        from_above(t, f"two.{second.merchant.id.hex}@example.test", second)
    assert caught.value.code == "owner_invited"
    team.invitation_revoke(actor=t.actor("owner", level="reseller"), invitation_id=again.id)
    from_above(t, f"two.{second.merchant.id.hex}@example.test", second)


def test_first_owners_invited_at_once_are_one() -> None:
    t = make_tenants()
    second = make_merchant(t)
    outcomes = at_once(
        *(
            lambda n=n: from_above(t, f"{n}.{second.merchant.id.hex}@example.test", second)
            for n in range(4)
        )
    )
    assert sorted(outcomes) == ["ok", *["owner_invited"] * 3]


def test_a_reseller_withdraws_no_invitation_that_the_merchant_sent() -> None:
    t = make_tenants()
    row = invite(t, f"own.{t.merchant.id.hex}@example.test")
    with pytest.raises(errors.NotFound):
        team.invitation_revoke(actor=t.actor("owner", level="reseller"), invitation_id=row.id)
    assert team.invitation_find(token=team.invitation_token(row.id)).id == row.id


@pytest.mark.parametrize("level", ["merchant", "reseller"])
def test_one_address_invited_by_many_at_once_has_one_invitation(level: str) -> None:
    t = make_tenants()
    email = f"race.{t.merchant.id.hex}@example.test"
    actor = t.actor("owner", level=level)

    def act() -> Invitation:
        return team.invitation_create(actor=actor, email=email, role="viewer")

    assert sorted(at_once(*[act] * 4)) == ["invited_already"] * 3 + ["ok"]
    with tenant_atomic(actor.scope):
        assert Invitation.objects.filter(email=email, revoked_at__isnull=True).count() == 1


def test_two_invitations_accepted_at_once_make_one_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t, other = make_tenants(), make_tenants()
    email = f"both.{t.merchant.id.hex}@example.test"
    tokens = [team.invitation_token(invite(where, email).id) for where in (t, other)]

    def meanwhile(password: str, **more: Any) -> None:
        monkeypatch.setattr(CHECK, check_password_strength)
        team.invitation_accept(token=tokens[1], name="N", password=NEW, ip=None)

    monkeypatch.setattr(CHECK, meanwhile)
    with pytest.raises(errors.Conflict) as caught:
        team.invitation_accept(token=tokens[0], name="N", password=NEW, ip=None)
    assert caught.value.code == "login_required"
    assert memberships_of(email) == [("merchant", "viewer")]


def test_accepting_as_a_member_is_a_conflict_and_not_a_fault() -> None:
    t, other = make_tenants(), make_tenants()
    person = other.users["merchant.viewer"]
    row = invite(t, person.email)
    with tenant_atomic(Scope.staff()):
        Membership.objects.create(
            user=person,
            level="merchant",
            role="admin",
            reseller=t.reseller,
            merchant=t.merchant,
        )
    token = team.invitation_token(row.id)
    with pytest.raises(errors.Conflict) as caught:
        team.invitation_accept(token=token, name="", password="", ip=None, user=person)
    assert caught.value.code == "already_member"
