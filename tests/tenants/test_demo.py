"""The demo tenants: complete, usable, and the same on every run."""

from __future__ import annotations

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client, RequestFactory
from rest_framework.request import Request

from core.db import Scope, tenant_atomic
from tenants import totp
from tenants.authentication import RequestAuthentication
from tenants.models import Merchant, Platform, Reseller, User
from tenants.services.demo import demo_id, seed_demo


@pytest.fixture(scope="module")
def demo() -> dict:
    return seed_demo()


def test_the_shape_is_what_scripts_rely_on(demo: dict) -> None:
    assert set(demo) == {"base_url", "users", "resellers", "merchants", "service_callers"}
    assert len(demo["resellers"]) == 2
    by_reseller = [merchant["reseller"] for merchant in demo["merchants"]]
    first, second = (reseller["id"] for reseller in demo["resellers"])
    assert by_reseller == [first, first, second]
    assert {tuple(sorted(user)) for user in demo["users"]} == {
        ("email", "password", "role", "tenant", "totp_secret")
    }
    assert set(demo["merchants"][0]) == {
        "id",
        "name",
        "reseller",
        "secret_key_test",
        "publishable_key_test",
        "secret_key_live",
        "publishable_key_live",
    }
    roles = {(user["tenant"].split("_")[0], user["role"]) for user in demo["users"]}
    tenant_roles = ("owner", "admin", "developer", "viewer")
    assert roles == {
        *(("mer", role) for role in tenant_roles),
        *(("res", role) for role in tenant_roles),
        *(("plt", role) for role in ("compliance", "finance", "support")),
    }


def test_finance_is_two_people_so_that_one_can_confirm_what_the_other_proposed(demo: dict) -> None:
    finance = [user["email"] for user in demo["users"] if user["role"] == "finance"]
    assert finance == ["finance@demo.example", "finance2@demo.example"]


def test_a_second_run_changes_nothing_and_prints_the_same(demo: dict) -> None:
    with tenant_atomic(Scope.staff()):
        before = (User.objects.count(), Merchant.objects.count(), Reseller.objects.count())
    assert seed_demo() == demo
    with tenant_atomic(Scope.staff()):
        after = (User.objects.count(), Merchant.objects.count(), Reseller.objects.count())
        assert Platform.objects.filter(id=demo_id("platform")).count() == 1
    assert after == before


def test_the_file_is_private(tmp_path: Path, demo: dict) -> None:
    target = tmp_path / "deep" / "demo.json"
    call_command("seed_demo", out=str(target), stdout=StringIO())
    assert json.loads(target.read_text()) == demo
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [entry.name for entry in target.parent.iterdir()] == ["demo.json"]


def test_standard_output_is_json_alone(demo: dict) -> None:
    out = StringIO()
    call_command("seed_demo", stdout=out)
    assert json.loads(out.getvalue()) == demo


def test_its_keys_work(demo: dict) -> None:
    for merchant in demo["merchants"]:
        http = RequestFactory().get(
            "/", headers={"Authorization": f"Bearer {merchant['secret_key_live']}"}
        )
        found = RequestAuthentication().authenticate(Request(http))
        assert found is not None
        assert found[1].livemode


def test_its_people_can_log_in(demo: dict) -> None:
    owner = next(user for user in demo["users"] if user["role"] == "owner")
    import base64

    text = owner["totp_secret"]
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    client = Client()
    client.post("/login", {"email": owner["email"], "password": owner["password"]})
    response = client.post("/login/verify", {"code": totp.code_at(secret)})
    assert response.status_code == 302
    assert "_auth_user_id" in client.session


def test_other_secret_keys_give_other_demo_secrets(demo: dict) -> None:
    from django.test import override_settings

    from tenants.services.demo import demo_password

    with override_settings(SECRET_KEY="another-secret-key-of-a-server-000000"):
        assert demo_password(demo["users"][0]["email"]) != demo["users"][0]["password"]
