"""Who may act on whom, over the whole table, at every face; and changes that need two persons."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import errors
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent
from devtools.home import ROOT
from tenants import policies
from tenants.models import Invitation, Level, Membership, PersonChange, TotpDevice, User
from tenants.policies import Acts, PersonAction
from tenants.services import people
from tests.factories import Tenants, make_tenants
from tests.people_table import PEOPLE
from tests.tenants.test_permission_table import browser_for, token_for

INITIALS: Final = {
    "c": "compliance", "f": "finance", "s": "support", "o": "owner", "a": "admin",
}  # fmt: skip
STAFF: Final = ("support", "finance", "compliance")
TENANT_ROLES: Final = ("owner", "admin", "developer", "viewer")
LEVEL_OF: Final = {
    **dict.fromkeys(STAFF, "platform"),
    **dict.fromkeys(TENANT_ROLES, "merchant"),
}
REASON: Final = "asked for on the phone, called back"


def acts_of(cell: str) -> tuple[set[str], set[str], set[str]]:
    """Who does it alone, who proposes it, who confirms it."""
    alone, proposes, confirms = (
        {INITIALS[letter] for letter in part.strip() if letter != "-"} for part in cell.split("|")
    )
    return alone, proposes, confirms


def cells(level: str, *actions: str) -> list[tuple[str, str]]:
    """The table's rows of a level: action and the other's role, the unnamed roles too."""
    others = (*STAFF, *TENANT_ROLES) if level == "platform" else TENANT_ROLES
    return [
        (action, target)
        for (of_level, action), row in PEOPLE.items()
        if of_level == level and (not actions or action in actions)
        for target in others
        if level != "platform" or action != "change_role" or target in row
    ]


def cell(level: str, action: str, target: str) -> tuple[set[str], set[str], set[str]]:
    return acts_of(PEOPLE[level, action].get(target, "- | - | -"))


def two_platforms() -> tuple[Tenants, Tenants]:
    """Actors of one, targets of another: staff stands above all tenants, and nobody is both."""
    t = make_tenants(totp=True)
    return t, make_tenants(totp=True, platform=t.platform)


# ---- the table ---------------------------------------------------------------------------------


def test_the_table_is_as_written() -> None:
    actual = {
        (str(level), str(action)): {
            str(role): (set(acts.alone), set(acts.proposes), set(acts.confirms))
            for role, acts in row.items()
        }
        for (level, action), row in policies.PEOPLE.items()
    }
    assert actual == {
        key: {role: acts_of(text) for role, text in row.items()} for key, row in PEOPLE.items()
    }


def test_who_may_begin_or_end_anything_has_the_permission_for_the_page() -> None:
    rules = [
        acts
        for (level, _), row in policies.PEOPLE.items()
        if level == Level.PLATFORM
        for acts in row.values()
    ]
    begin = {role for acts in rules for role in acts.alone | acts.proposes}
    assert begin == policies.PERMISSIONS["platform.users.write"].platform
    deciding = {role for acts in rules for role in acts.proposes | acts.confirms}
    assert deciding == policies.PERMISSIONS["platform.users.confirm"].platform


def test_one_person_of_each_role_is_enough_to_change_any_of_them() -> None:
    for key, row in policies.PEOPLE.items():
        for target, acts in row.items():
            pairs = [
                (proposer, second)
                for proposer in acts.proposes
                for second in acts.confirms
                if len({proposer, second, target}) == 3
            ]
            assert acts.alone or pairs, (key, target)


def test_the_strictest_rule_of_several_roles_counts() -> None:
    def of(*roles: str) -> Acts:
        return policies.acts_on(level="platform", action=PersonAction.DEACTIVATE, roles=roles)

    assert of("owner", "finance") == of("finance")
    assert of("owner", "support").alone == {"compliance"}
    assert of("support", "finance").confirms == {"compliance"}
    assert of() == of("viewer")


def test_the_table_is_printed_in_the_documents() -> None:
    """As tenants/policies.py has it: run ./dev manage print_access and paste what it says."""
    from tenants.management.commands.print_access import access_table

    assert access_table() in (ROOT / "docs" / "access.md").read_text(encoding="utf-8")


# ---- the admin ---------------------------------------------------------------------------------


def page(model: type, object_id: object, action: str) -> str:
    meta = model._meta  # type: ignore[attr-defined]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{action}", args=[object_id])


def state_of(user: User) -> tuple[bool, bool, str]:
    """Whether the person is active and has a second factor, and the staff role."""
    with tenant_atomic(Scope.staff()):
        role = Membership.objects.filter(user=user, level="platform").values_list("role", flat=True)
        active = User.objects.values_list("is_active", flat=True).get(id=user.id)
        found = "".join(role)
    with tenant_atomic(Scope.auth()):
        return active, TotpDevice.objects.filter(user=user).exists(), found


def proposals(user: User) -> list[PersonChange]:
    with tenant_atomic(Scope.staff()):
        return list(PersonChange.objects.filter(user=user).order_by("id"))


def post_as(t: Tenants, role: str, action: str, target: User) -> int:
    """Ask for an action at the admin's page; the status."""
    client = browser_for(t, "platform", role)
    if action == "change_role":
        with tenant_atomic(Scope.staff()):
            membership = Membership.objects.get(user=target, level="platform")
        given = {"role": other_role(membership.role), "reason": REASON}
        return client.post(page(Membership, membership.id, action), given).status_code
    return client.post(page(User, target.id, action), {"reason": REASON}).status_code


def other_role(role: str) -> str:
    return "finance" if role != "finance" else "support"


def prepare(action: str, target: User) -> tuple[bool, bool, str]:
    """Put a person into the state that an action changes; returns it."""
    if action == "activate":
        with tenant_atomic(Scope.staff()):
            User.objects.filter(id=target.id).update(is_active=False)
    return state_of(target)


def changed(action: str, before: tuple[bool, bool, str]) -> tuple[bool, bool, str]:
    """The state after an action."""
    active, factor, role = before
    return {
        "deactivate": (False, factor, role),
        "activate": (True, factor, role),
        "reset_second_factor": (active, False, role),
        "change_role": (active, factor, other_role(role)),
        "send_reset": before,
    }[action]


def resets(user: User) -> int:
    with tenant_atomic(Scope.staff()):
        return OutboxEvent.objects.filter(
            type="user.password_reset_requested", aggregate=user.public_id
        ).count()


@pytest.mark.parametrize("actor", STAFF)
@pytest.mark.parametrize(("action", "target"), cells("platform"))
def test_the_admin_does_what_the_table_says(action: str, target: str, actor: str) -> None:
    t, others = two_platforms()
    person = others.users[f"{LEVEL_OF[target]}.{target}"]
    before = prepare(action, person)
    alone, proposes, _ = cell("platform", action, target)

    post_as(t, actor, action, person)

    assert len(proposals(person)) == (actor in proposes)
    assert resets(person) == (action == "send_reset" and actor in alone)
    assert state_of(person) == (changed(action, before) if actor in alone else before)


@pytest.mark.parametrize("second", STAFF)
@pytest.mark.parametrize(
    ("action", "target"),
    [row for row in cells("platform") if row[1] in STAFF and row[0] != "send_reset"],
)
def test_the_second_person_is_one_of_the_table(action: str, target: str, second: str) -> None:
    t, others = two_platforms()
    person = others.users[f"platform.{target}"]
    before = prepare(action, person)
    _, proposes, confirms = cell("platform", action, target)
    post_as(t, min(proposes), action, person)
    (waiting,) = proposals(person)

    # Of the platform of the target, where it is the target itself for one role.
    colleagues = make_tenants(totp=True, platform=t.platform)
    client = browser_for(colleagues, "platform", second)
    client.post(page(PersonChange, waiting.id, "confirm"))

    (row,) = proposals(person)
    if second in confirms:
        assert (row.state, row.decided_by_id) == (
            "confirmed",
            colleagues.users[f"platform.{second}"].id,
        )
        assert state_of(person) == changed(action, before)
    else:
        assert (row.state, row.decided_by_id) == ("proposed", None)
        assert state_of(person) == before


# ---- two persons ------------------------------------------------------------------------------


def propose(t: Tenants, person: User, *, actor: str = "compliance") -> PersonChange:
    found = people.person_change(
        actor=t.actor(actor, level="platform"),
        action=PersonAction.DEACTIVATE,
        user_id=person.id,
        reason=REASON,
    )
    assert found is not None
    return found


def confirm(t: Tenants, change: PersonChange, role: str) -> PersonChange:
    return people.person_change_confirm(actor=t.actor(role, level="platform"), change_id=change.id)


def refusal(act: Any) -> str:
    with pytest.raises(errors.AppError) as refused:
        act()
    return refused.value.code


def test_nobody_confirms_the_own_proposal_nor_what_is_about_oneself() -> None:
    t, others = two_platforms()
    change = propose(t, others.users["platform.finance"])
    assert refusal(lambda: confirm(t, change, "compliance")) == "second_person_required"
    assert refusal(lambda: confirm(others, change, "finance")) == "second_person_required"
    assert state_of(others.users["platform.finance"])[0]
    assert confirm(t, change, "finance").state == "confirmed"
    assert not state_of(others.users["platform.finance"])[0]


def test_nobody_proposes_for_oneself() -> None:
    t = make_tenants()
    for role in ("support", "compliance"):
        assert refusal(lambda role=role: propose(t, t.users[f"platform.{role}"], actor=role)) == (
            "own_account"
        )
    assert refusal(
        lambda: people.staff_role_change(
            actor=t.actor("compliance", level="platform"),
            membership_id=t.memberships["platform.compliance"].id,
            role="finance",
            reason=REASON,
        )
    ) == ("own_account")


def test_the_database_refuses_one_person_twice(admin_dsn: str) -> None:
    t, others = two_platforms()
    change = propose(t, others.users["platform.finance"])
    for who in (t.users["platform.compliance"], others.users["platform.finance"]):
        with (
            psycopg.connect(admin_dsn) as conn,
            pytest.raises(psycopg.errors.CheckViolation, match="two_persons"),
        ):
            conn.execute(
                "UPDATE tenants_personchange SET state = 'confirmed', decided_by_id = %s,"
                " decided_at = now() WHERE id = %s",
                [who.id, change.id],
            )


def test_a_proposal_expires() -> None:
    t, others = two_platforms()
    person = others.users["platform.finance"]
    change = propose(t, person)
    with tenant_atomic(Scope.staff()):
        PersonChange.objects.filter(id=change.id).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )
    assert refusal(lambda: confirm(t, change, "finance")) == "proposal_expired"
    assert state_of(person)[0]
    assert propose(t, person).state == "proposed"


def test_a_proposal_is_decided_once_and_made_once() -> None:
    t, others = two_platforms()
    person = others.users["platform.finance"]
    change = propose(t, person)
    assert refusal(lambda: propose(t, person, actor="support")) == "proposed_already"
    people.person_change_reject(actor=t.actor("finance", level="platform"), change_id=change.id)
    assert refusal(lambda: confirm(t, change, "finance")) == "decided_already"
    assert state_of(person)[0]


def test_who_proposed_takes_it_back_and_an_outsider_does_not() -> None:
    t, others = two_platforms()
    change = propose(t, others.users["platform.finance"])
    assert refusal(
        lambda: people.person_change_reject(
            actor=t.actor("support", level="platform"), change_id=change.id
        )
    ) == ("second_person_required")
    people.person_change_reject(actor=t.actor("compliance", level="platform"), change_id=change.id)
    (row,) = proposals(others.users["platform.finance"])
    assert row.state == "rejected"


def test_a_proposal_of_somebody_who_was_put_out_is_confirmed_by_nobody() -> None:
    t, others = two_platforms()
    change = propose(t, others.users["platform.finance"], actor="support")
    with tenant_atomic(Scope.staff()):
        User.objects.filter(id=t.users["platform.support"].id).update(is_active=False)
    assert refusal(lambda: confirm(t, change, "finance")) == "proposer_gone"
    assert state_of(others.users["platform.finance"])[0]


def test_the_role_of_a_tenants_member_is_the_tenants_to_change() -> None:
    t, others = two_platforms()
    assert refusal(
        lambda: people.staff_role_change(
            actor=t.actor("support", level="platform"),
            membership_id=others.memberships["merchant.owner"].id,
            role="finance",
            reason=REASON,
        )
    ) == ("resource_missing")


def test_the_audit_log_names_both_persons_and_the_reason() -> None:
    t, others = two_platforms()
    person = others.users["platform.finance"]
    change = propose(t, person)
    confirm(t, change, "finance")
    with tenant_atomic(Scope.staff()):
        rows = {
            row.action: row
            for row in AuditRecord.objects.filter(target=person.public_id).order_by("id")
        }
    proposer, second = t.users["platform.compliance"], t.users["platform.finance"]
    assert set(rows) == {"user.change_proposed", "user.change_confirmed", "user.deactivated"}
    assert rows["user.change_proposed"].actor_id == proposer.public_id
    assert rows["user.change_proposed"].after == {
        "proposal": change.public_id,
        "action": "deactivate",
        "reason": REASON,
    }
    assert rows["user.deactivated"].actor_id == second.public_id
    assert rows["user.deactivated"].after == {
        "reason": REASON,
        "proposal": change.public_id,
        "proposed_by": proposer.public_id,
    }


def test_the_admin_lists_what_waits_and_offers_it_to_a_second_person() -> None:
    t, others = two_platforms()
    change = propose(t, others.users["platform.finance"])
    address = page(PersonChange, change.id, "confirm")
    shown = reverse("admin:tenants_personchange_change", args=[change.id])
    listed = reverse("admin:tenants_personchange_changelist")
    for role, offered in (("finance", True), ("compliance", False), ("support", False)):
        client = browser_for(t, "platform", role)
        assert others.users["platform.finance"].email in client.get(listed).content.decode()
        assert (address in client.get(shown).content.decode()) is offered, role
    asked = browser_for(t, "platform", "finance").get(address).content.decode()
    assert REASON in asked


# ---- tenants: the API and the portal ------------------------------------------------------------


def ask_api(t: Tenants, level: str, actor: str, action: str, target: str) -> int:
    """Act on the member of a role over the API; the status."""
    headers = {"Authorization": f"Bearer {token_for(t, level, actor, livemode=False)}"}
    member = f"/v1/team/{t.memberships[f'{level}.{target}'].public_id}"
    method, path, body = {
        "invite": ("POST", "/v1/team/invitations", {"email": invited(t), "role": target}),
        "change_role": ("PATCH", member, {"role": "viewer" if target != "viewer" else "admin"}),
        "remove": ("DELETE", member, None),
    }[action]
    return (
        Client()
        .generic(
            method,
            path,
            data=b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers=headers,
        )
        .status_code
    )


def ask_portal(t: Tenants, level: str, actor: str, action: str, target: str) -> int:
    """The same at the portal's pages."""
    member = t.memberships[f"{level}.{target}"].public_id
    path, form = {
        "invite": ("/team/invite", {"email": invited(t), "role": target}),
        "change_role": (
            f"/team/{member}/role",
            {"role": "viewer" if target != "viewer" else "admin"},
        ),
        "remove": (f"/team/{member}/remove", {}),
        "bind_agent": (
            f"/team/{member}/agent",
            {"access": "only", "merchants": [t.merchant.public_id]},
        ),
    }[action]
    return browser_for(t, level, actor).post(path, form).status_code


def invited(t: Tenants) -> str:
    return f"new.{t.merchant.id.hex}@example.test"


def with_two_owners(level: str) -> Tenants:
    """The last owner stays whoever asks; the table is about the others."""
    t = make_tenants(totp=True)
    other = make_tenants()
    with tenant_atomic(Scope.staff()):
        Membership.objects.create(
            user=other.users["merchant.viewer"],
            level=level,
            role="owner",
            reseller=t.reseller,
            merchant=t.merchant if level == "merchant" else None,
        )
    return t


def effect_of(t: Tenants, level: str, action: str, target: str) -> bool:
    """Whether the action has happened."""
    membership = t.memberships[f"{level}.{target}"]
    with tenant_atomic(Scope.staff()):
        if action == "invite":
            return Invitation.objects.filter(email=invited(t), role=target).exists()
        row = Membership.objects.filter(id=membership.id).first()
    if action == "remove":
        return row is None
    assert row is not None
    return row.only_granted if action == "bind_agent" else row.role != target


@pytest.mark.parametrize("face", ["api", "portal"])
@pytest.mark.parametrize("actor", TENANT_ROLES)
@pytest.mark.parametrize(
    ("level", "action", "target"),
    [(level, *row) for level in ("merchant", "reseller") for row in cells(level)],
)
def test_teams_do_what_the_table_says(
    level: str, action: str, target: str, actor: str, face: str
) -> None:
    if face == "api" and action == "bind_agent":
        return  # the API does not offer it
    t = with_two_owners(level)
    alone, _, _ = cell(level, action, target)
    (ask_api if face == "api" else ask_portal)(t, level, actor, action, target)
    assert effect_of(t, level, action, target) is (actor in alone)
