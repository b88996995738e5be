"""`./dev up` seeds the demo tenants each time: it works whatever people have changed meanwhile."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core.context import Actor
from core.db import Scope, tenant_atomic
from tenants import policies, totp
from tenants.models import ApiKey, Membership, Merchant, Reseller, TotpDevice, User
from tenants.policies import PersonAction
from tenants.services import (
    api_keys,
    demo,
    members,
    merchants,
    passwords,
    people,
    second_factor,
    standing,
    team,
)
from tests.places import make_place

MERCHANT = "merchant:bluebottle"
NEW_PASSWORD = "another long password 91"


@pytest.fixture(autouse=True)
def own_demo(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Demo tenants of this test alone: other ids, addresses and keys than the other tests'."""
    monkeypatch.setattr(demo, "NAMESPACE", uuid.uuid4())
    monkeypatch.setattr(demo, "DOMAIN", f"{secrets.token_hex(4)}.example")
    monkeypatch.setattr(demo, "SERVICE_KEY", f"svc_{secrets.token_hex(4)}")
    settings.SECRET_KEY = secrets.token_urlsafe(40)


def email(role: str) -> str:
    return f"{role}@bluebottle.{demo.DOMAIN}"


def person(role: str) -> User:
    with tenant_atomic(Scope.auth()):
        return User.objects.get(id=demo.demo_id(f"user:{email(role)}"))


def acting(role: str = "owner") -> Actor:
    """The merchant's owner, or the reseller's with ``reseller``."""
    level = "reseller" if role == "reseller" else "merchant"
    user, merchant = person("owner"), demo.demo_id(MERCHANT)
    return Actor(
        kind="user",
        id=user.public_id,
        label=user.email,
        reseller_id=demo.demo_id("reseller:northwind"),
        merchant_id=merchant if level == "merchant" else None,
        role="owner",
        scopes=policies.effective(level=level, role="owner", livemode=False, second_factor=True),
        user_id=user.id,
    )


def staff() -> Actor:
    user = demo.demo_id(f"user:support@{demo.DOMAIN}")
    scopes = policies.effective(
        level="platform", role="support", livemode=False, second_factor=True
    ) | policies.effective(level="platform", role="compliance", livemode=False, second_factor=True)
    return Actor(
        kind="user",
        id="usr_demo",
        label="staff",
        platform=True,
        role="support",
        scopes=scopes,
        user_id=user,
    )


def membership_id(role: str) -> uuid.UUID:
    return demo.demo_id(f"membership:{email(role)}")


def _read(model: Any, row_id: uuid.UUID, *names: str) -> Any:
    with tenant_atomic(Scope.staff()):
        return model.objects.filter(id=row_id).values_list(*names).first()


Change = Callable[[], Callable[[], Any]]


def _removed_and_invited_again() -> Callable[[], Any]:
    members.membership_remove(actor=acting(), membership_id=membership_id("viewer"))
    row = team.invitation_create(actor=acting(), email=email("viewer"), role="developer")
    token = team.invitation_token(row.id)
    team.invitation_accept(token=token, name="", password="", ip=None, user=person("viewer"))
    who = person("viewer").id

    def roles() -> list[str]:
        with tenant_atomic(Scope.staff()):
            return list(Membership.objects.filter(user_id=who).values_list("role", flat=True))

    assert roles() == ["developer"]
    return roles


def _invited_again_and_not_yet_there() -> Callable[[], Any]:
    members.membership_remove(actor=acting(), membership_id=membership_id("viewer"))
    team.invitation_create(actor=acting(), email=email("viewer"), role="developer")
    return lambda: None


def _other_role() -> Callable[[], Any]:
    members.membership_change_role(
        actor=acting(), membership_id=membership_id("admin"), role="viewer"
    )
    return lambda: _read(Membership, membership_id("admin"), "role")


def _merchant_renamed() -> Callable[[], Any]:
    merchants.merchant_update(
        actor=acting("reseller"), merchant_id=demo.demo_id(MERCHANT), name="Red Bottle"
    )
    return lambda: _read(Merchant, demo.demo_id(MERCHANT), "name")


def _closed(model: Any, label: str) -> Callable[[], Any]:
    with tenant_atomic(Scope.staff()):
        named = "merchant_id" if model is Merchant else "reseller_id"
        compliance = replace(staff(), role="compliance")
        standing.tenant_set_status(
            actor=compliance, status="closed", reason="Ended", **{named: demo.demo_id(label)}
        )
    return lambda: _read(model, demo.demo_id(label), "status")


def _merchant_closed() -> Callable[[], Any]:
    return _closed(Merchant, MERCHANT)


def _reseller_closed() -> Callable[[], Any]:
    return _closed(Reseller, "reseller:northwind")


def _deactivated() -> Callable[[], Any]:
    user = person("admin")
    with tenant_atomic(Scope.staff()):
        people.person_change(
            actor=staff(),
            action=PersonAction.DEACTIVATE,
            user_id=user.id,
            reason="left the company",
        )
    return lambda: _read(User, person("admin").id, "is_active")


def _password_changed() -> Callable[[], Any]:
    user = person("admin")
    token = passwords.reset_link_issue(user=user)
    passwords.password_set(user=user, token=token, password=NEW_PASSWORD, place=make_place())
    return lambda: _read(User, person("admin").id, "login_stamp")


def _another_authenticator() -> Callable[[], Any]:
    user, secret = person("admin"), totp.new_secret()
    second_factor.enrolment_confirm(
        user=user, secret=secret, code=totp.code_at(secret), actor=acting()
    )

    def devices() -> Any:
        with tenant_atomic(Scope.auth()):
            return list(
                TotpDevice.objects.filter(user_id=user.id).values_list("id", "secret_sealed")
            )

    return devices


def _key_revoked() -> Callable[[], Any]:
    key_id = demo.demo_id("key:bluebottle:sk:test")
    api_keys.api_key_revoke(actor=acting(), key_id=key_id)
    return lambda: _read(ApiKey, key_id, "revoked_at")


def _key_rotated() -> Callable[[], Any]:
    key_id = demo.demo_id("key:bluebottle:sk:test")
    api_keys.api_key_rotate(actor=acting(), key_id=key_id)
    return lambda: _read(ApiKey, key_id, "expires_at")


@pytest.mark.parametrize(
    "change",
    [
        _removed_and_invited_again,
        _invited_again_and_not_yet_there,
        _other_role,
        _merchant_renamed,
        _merchant_closed,
        _reseller_closed,
        _deactivated,
        _password_changed,
        _another_authenticator,
        _key_revoked,
        _key_rotated,
    ],
)
def test_seeding_again_leaves_what_people_changed(change: Change) -> None:
    first = demo.seed_demo()
    changed = change()
    before = changed()
    assert demo.seed_demo() == demo.seed_demo() == first
    assert changed() == before


def test_a_member_who_was_removed_is_back() -> None:
    first = demo.seed_demo()
    members.membership_remove(actor=acting(), membership_id=membership_id("viewer"))
    assert demo.seed_demo() == first
    assert _read(Membership, membership_id("viewer"), "role") == ("viewer",)


def test_an_address_that_somebody_else_has_stays_that_persons() -> None:
    taken = f"finance@{demo.DOMAIN}"
    with tenant_atomic(Scope.staff()):
        User.objects.create(email=taken, name="Somebody", password="")
    demo.seed_demo()
    with tenant_atomic(Scope.staff()):
        found = User.objects.get(email=taken)
        assert not found.is_staff
        assert not Membership.objects.filter(user_id=found.id).exists()
    with tenant_atomic(Scope.auth()):
        assert not TotpDevice.objects.filter(user_id=found.id).exists()
