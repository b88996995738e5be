"""The permission table, and the rules around it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core import errors
from core.context import Actor
from tenants import policies
from tests.factories import make_tenants


def test_an_unknown_permission_is_a_programming_error_not_a_no() -> None:
    with pytest.raises(KeyError):
        policies.can(Actor.system("test"), "payments.reed")


@pytest.mark.parametrize(
    ("role", "permission", "expected"),
    [
        ("owner", "team.write", True),
        ("admin", "team.write", True),
        ("developer", "team.write", False),
        ("viewer", "team.write", False),
        ("developer", "keys.write", True),
        ("viewer", "keys.read", False),
        ("viewer", "payments.read", True),
        ("viewer", "payments.refund", False),
        ("admin", "payments.refund", True),
    ],
)
def test_roles_of_a_merchant_in_test_mode(role: str, permission: str, expected: bool) -> None:
    actor = make_tenants().actor(role)
    assert policies.can(actor, permission) is expected


def test_a_developer_holds_nothing_in_live_mode() -> None:
    actor = make_tenants().actor("developer", livemode=True)
    assert actor.scopes == frozenset()


def test_a_viewer_holds_only_reading() -> None:
    for level in ("merchant", "reseller"):
        held = policies.effective(level=level, role="viewer", livemode=True, second_factor=True)
        assert {name for name in held if not name.endswith((".read", ".export"))} == set()


def test_money_moves_need_a_second_factor() -> None:
    t = make_tenants()
    assert policies.can(t.actor("admin"), "payments.refund")
    assert not policies.can(t.actor("admin", second_factor=False), "payments.refund")
    assert policies.can(t.actor("admin", second_factor=False), "payments.read")


def test_no_role_below_the_platform_holds_a_platform_permission() -> None:
    for (level, _), held in policies._BY_ROLE[True].items():
        if level != "platform":
            assert not {name for name in held if name.startswith("platform.")}


def test_a_role_that_no_rule_names_protects_a_person_who_has_another_too() -> None:
    action = policies.PersonAction.CHANGE_ROLE
    named = policies.acts_on(level="platform", action=action, roles=["support"])
    beside = policies.acts_on(level="platform", action=action, roles=["support", "owner"])
    assert [*named.alone, *sorted(named.proposes)] == ["compliance", "support"]
    assert [*beside.alone, *beside.proposes] == []


def test_a_foreign_object_does_not_exist() -> None:
    t, other = make_tenants(), make_tenants()
    for role in ("owner", "viewer"):
        with pytest.raises(errors.NotFound):
            policies.require_own(t.actor(role), other.key_rows["sk", False])
        policies.require_own(t.actor(role), t.key_rows["sk", False])


def test_a_permission_covers_the_actors_own_objects_alone() -> None:
    t, other = make_tenants(), make_tenants()
    owner = t.actor("owner")
    assert policies.can(owner, "keys.write", t.key_rows["sk", False]) is True
    assert policies.can(owner, "keys.write", other.key_rows["sk", False]) is False


def test_test_and_live_never_mix() -> None:
    t = make_tenants()
    with pytest.raises(errors.NotFound):
        policies.require_own(t.actor("owner"), t.key_rows["sk", True])


def test_a_reseller_owns_its_merchants_and_no_others() -> None:
    t, other = make_tenants(), make_tenants()
    actor = t.actor("admin", level="reseller")
    policies.require_own(actor, t.merchant)
    with pytest.raises(errors.NotFound):
        policies.require_own(actor, other.merchant)


def test_whoever_is_bound_to_no_tenant_owns_nothing_but_a_service_caller() -> None:
    t = make_tenants(users=False, service_caller=True)
    service, key = t.service_actor(), t.key_rows["sk", False]
    assert (service.merchant_id, service.reseller_id) == (None, None)
    assert policies.owns(service, key) is True
    assert policies.owns(replace(service, kind="user"), key) is False


def test_a_publishable_key_only_tokenises() -> None:
    assert policies.key_permissions(kind="pk", scopes=[]) == {"tokens.create"}


def test_a_restricted_key_without_scopes_holds_nothing() -> None:
    assert policies.key_permissions(kind="rk", scopes=[]) == frozenset()
    assert policies.key_permissions(kind="rk", scopes=["refunds.*"]) == {"refunds.read"}


def test_scopes_narrow_a_secret_key_too() -> None:
    assert policies.key_permissions(kind="sk", scopes=["payments.read"]) == {"payments.read"}


def test_no_key_holds_what_is_for_persons() -> None:
    held = policies.key_permissions(kind="sk", scopes=[])
    assert not held & {"team.write", "settings.write", "merchants.write", "intents.create"}


def test_an_unknown_scope_is_named() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        policies.check_scopes(["payments.read", "payments.reed"], kind="rk")
    assert caught.value.param == "scopes"
    assert "payments.reed" in caught.value.message
