"""What holds for a person to whom two rules apply."""

from __future__ import annotations

from tenants.models import Role
from tenants.policies import NO_ONE, Acts

OWNER, ADMIN, VIEWER = (Role(name) for name in ("owner", "admin", "viewer"))


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


def test_both_rules_let_one_act() -> None:
    one = Acts(alone=_roles(OWNER, ADMIN))
    other = Acts(alone=_roles(ADMIN, VIEWER))
    assert one.and_also(other) == Acts(alone=_roles(ADMIN), proposes=_roles(ADMIN))


def test_who_may_act_alone_by_one_rule_proposes_by_the_other() -> None:
    one = Acts(alone=_roles(OWNER), proposes=_roles(ADMIN), confirms=_roles(OWNER))
    other = Acts(alone=_roles(ADMIN), proposes=_roles(OWNER), confirms=_roles(OWNER, ADMIN))
    both = one.and_also(other)
    assert (both.alone, both.proposes) == (NO_ONE, _roles(OWNER, ADMIN))
    assert both.confirms == _roles(OWNER)


def test_a_rule_without_a_second_person_leaves_the_others_choice() -> None:
    one, other = Acts(proposes=_roles(OWNER)), Acts(proposes=_roles(OWNER), confirms=_roles(ADMIN))
    assert one.and_also(other).confirms == other.and_also(one).confirms == _roles(ADMIN)
