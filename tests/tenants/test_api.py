"""The REST face of the tenants room over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from core.db import tenant_atomic
from core.models import AuditRecord, IdempotencyRecord
from tenants import totp
from tenants.models import ApiKey, Membership, Merchant
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.tenants.test_permission_table import token_for


def call(
    method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and envelope."""
    import json

    response = Client().generic(
        method,
        path,
        data=b"" if body is None else json.dumps(body).encode(),
        content_type="application/json",
        headers=headers or {},
    )
    return response.status_code, response.json()


def as_person(t: Tenants, role: str, *, level: str = "merchant") -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(t, level, role, livemode=False)}"}


def test_logging_in_refreshing_and_logging_out() -> None:
    t = make_tenants(totp=True)
    user = t.users["merchant.owner"]
    body = {"email": user.email, "password": PASSWORD}
    status, answer = call("POST", "/v1/auth/login", body)
    assert (status, answer["error"]["code"]) == (401, "otp_required")
    code = totp.code_at(t.totp_secrets[user.id])
    status, answer = call("POST", "/v1/auth/login", {**body, "otp": code})
    assert status == 200
    first = answer["data"]
    assert first["tenant"] == t.merchant.public_id
    assert (first["token_type"], first["expires_in"], first["role"]) == ("Bearer", 300, "owner")
    access = {"Authorization": f"Bearer {first['access_token']}"}
    assert call("GET", "/v1/team", headers=access)[0] == 200
    status, answer = call("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert status == 200
    second = answer["data"]
    assert call("POST", "/v1/auth/logout", {"refresh_token": second["refresh_token"]})[0] == 200
    status, answer = call("POST", "/v1/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert (status, answer["error"]["type"]) == (401, "authentication_error")


def test_the_two_addresses_of_machine_clients() -> None:
    from tenants.services import api_keys

    t = make_tenants()
    row, secret = api_keys.machine_client_create(
        actor=t.actor("owner"), name="Export", scopes=["keys.read"]
    )
    for path in ("/v1/client/session", "/auth/token"):
        status, answer = call(
            "POST",
            path,
            {
                "grant_type": "client_credentials",
                "client_id": row.client_id,
                "client_secret": secret,
            },
        )
        assert status == 200, answer
        headers = {"Authorization": f"Bearer {answer['data']['access_token']}"}
        assert call("GET", "/v1/api_keys", headers=headers)[0] == 200
        assert call("GET", "/v1/team", headers=headers)[0] == 403


def test_a_new_key_is_shown_to_its_request_alone_and_stored_sealed() -> None:
    t = make_tenants()
    headers = t.headers()
    body = {"name": "Shop", "kind": "rk", "scopes": ["payments.read"]}
    status, answer = call("POST", "/v1/api_keys", body, headers=headers)
    assert status == 201
    made = answer["data"]
    assert made["key"].startswith("mk_rk_test_")
    assert (made["status"], made["livemode"], made["hint"]) == ("active", False, made["key"][-4:])
    assert call("GET", "/v1/payments", headers={"Authorization": f"Bearer {made['key']}"})[0] == 200
    status, again = call("POST", "/v1/api_keys", body, headers=headers)
    assert (status, again["data"]) == (201, made)
    status, read = call("GET", f"/v1/api_keys/{made['id']}", headers=t.headers())
    assert (status, read["data"]["key"]) == (200, None)
    with tenant_atomic(t.scope):
        stored = IdempotencyRecord.objects.get(key=headers["Idempotency-Key"])
        assert bytes(stored.body or b"").startswith(b"sealed:")
        assert made["key"].encode() not in bytes(stored.body or b"")
        assert ApiKey.objects.filter(name="Shop").count() == 1
        record = AuditRecord.objects.get(action="api_key.created")
    assert made["key"] not in str(record.after)


def test_a_secret_is_repeated_to_no_other_caller() -> None:
    t = make_tenants()
    body = {"name": "Small", "kind": "rk", "scopes": ["keys.write", "keys.read"]}
    _, answer = call("POST", "/v1/api_keys", body, headers=t.headers())
    small = {"Authorization": f"Bearer {answer['data']['key']}"}
    headers = t.headers()
    assert call("POST", "/v1/api_keys", {"name": "Big"}, headers=headers)[0] == 201

    # Who reads the request log knows the Idempotency-Key of the other key's request.
    same = {**small, "Idempotency-Key": headers["Idempotency-Key"]}
    status, answer = call("POST", "/v1/api_keys", {"name": "Big"}, headers=same)

    assert (status, answer["error"]["code"]) == (422, "idempotency_key_reused")


def test_a_rotated_key_is_repeated_with_its_text() -> None:
    t = make_tenants()
    path = f"/v1/api_keys/{next(iter(t.key_rows.values())).public_id}/rotate"
    headers = t.headers()
    status, made = call("POST", path, {}, headers=headers)
    assert (status, made["data"]["key"][:3]) == (201, "mk_")
    assert call("POST", path, {}, headers=headers) == (201, made)


def test_a_key_hands_out_no_more_than_it_has() -> None:
    t = make_tenants()
    body = {"name": "Small", "kind": "rk", "scopes": ["keys.write", "keys.read"]}
    _, answer = call("POST", "/v1/api_keys", body, headers=t.headers())
    small = {"Authorization": f"Bearer {answer['data']['key']}"}
    status, answer = call("POST", "/v1/api_keys", {"name": "Big", "kind": "sk"}, headers=small)
    assert (status, answer["error"]["code"]) == (403, "scope_escalation")
    big = next(iter(t.key_rows.values())).public_id
    status, answer = call("POST", f"/v1/api_keys/{big}/rotate", {}, headers=small)
    assert (status, answer["error"]["code"]) == (403, "scope_escalation")
    with tenant_atomic(t.scope):
        assert ApiKey.objects.count() == 5


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "parameter_missing", "name"),
        ({"name": "x", "kind": "zz"}, "parameter_invalid_choice", "kind"),
        ({"name": "x", "kind": "rk"}, "scopes_missing", "scopes"),
        ({"name": "x", "scopes": ["nothing.read"]}, "scope_unknown", "scopes"),
        ({"name": "x", "ip_allowlist": ["300.1.1.1"]}, "network_invalid", "ip_allowlist"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expiry_past", "expires_at"),
    ],
)
def test_a_bad_key_request_is_named_and_makes_nothing(
    body: dict[str, Any], code: str, param: str
) -> None:
    t = make_tenants()
    status, answer = call("POST", "/v1/api_keys", body, headers=t.headers())
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, code, param)
    with tenant_atomic(t.scope):
        assert ApiKey.objects.count() == 4


def test_revoking_ends_a_key_and_foreign_keys_do_not_exist() -> None:
    t, other = make_tenants(), make_tenants()
    target = t.key_rows["pk", False].public_id
    foreign = other.key_rows["sk", False].public_id
    live = t.key_rows["sk", True].public_id
    for hidden in (foreign, live, "key_nonsense", t.merchant.public_id):
        for method, path in (
            ("GET", f"/v1/api_keys/{hidden}"),
            ("POST", f"/v1/api_keys/{hidden}/revoke"),
            ("POST", f"/v1/api_keys/{hidden}/rotate"),
        ):
            assert call(method, path, {}, headers=t.headers())[0] == 404
    status, answer = call("POST", f"/v1/api_keys/{target}/revoke", headers=t.headers())
    assert (status, answer["data"]["status"]) == (200, "revoked")
    gone = {"Authorization": f"Bearer {t.publishable_key_test}"}
    assert call("POST", "/v1/tokens", {}, headers=gone)[0] == 401
    with tenant_atomic(other.scope):
        assert ApiKey.objects.filter(revoked_at__isnull=False).count() == 0


def test_a_reseller_signs_up_and_sees_its_merchants_only() -> None:
    t, other = make_tenants(totp=True), make_tenants(totp=True)
    headers = as_person(t, "admin", level="reseller")
    body = {"name": "New shop", "country": "de", "default_currency": "EUR"}
    status, answer = call("POST", "/v1/merchants", body, headers=headers)
    assert status == 201
    made = answer["data"]
    assert (made["status"], made["country"], made["reseller"]) == (
        "pending",
        "DE",
        t.reseller.public_id,
    )
    status, answer = call("GET", "/v1/merchants", headers=headers)
    assert [row["id"] for row in answer["data"]["items"]] == [made["id"], t.merchant.public_id]
    assert call("GET", f"/v1/merchants/{other.merchant.public_id}", headers=headers)[0] == 404
    assert call("GET", f"/v1/merchants/{made['id']}", headers=headers)[0] == 200


@pytest.mark.parametrize(
    ("currency", "fixed"), [("USD", 30), ("DKK", 180), ("JPY", 40), ("KWD", 90), ("XAF", 0)]
)
def test_the_fixed_fee_of_a_new_merchant_is_one_of_its_currency(currency: str, fixed: int) -> None:
    headers = as_person(make_tenants(totp=True), "admin", level="reseller")
    body = {"name": "New shop", "country": "de", "default_currency": currency}
    _, answer = call("POST", "/v1/merchants", body, headers=headers)
    assert (answer["data"]["fee_fixed"], answer["data"]["fee_bps"]) == (fixed, 290)


def test_a_merchants_price_and_its_resellers_share_are_shown_as_they_are_set() -> None:
    t = make_tenants(totp=True, fee_bps=275, fee_fixed_minor=25, reseller_share_bps=1_250)
    headers = as_person(t, "viewer", level="reseller")
    _, answer = call("GET", f"/v1/merchants/{t.merchant.public_id}", headers=headers)
    shown = [answer["data"][name] for name in ("fee_bps", "fee_fixed", "reseller_share_bps")]
    assert shown == [275, 25, 1_250]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"country": "XX"}, "country"),
        ({"default_currency": "ABC"}, "currency"),
        ({"statement_descriptor": "1234"}, "statement_descriptor"),
        ({"name": " "}, "name"),
    ],
)
def test_a_bad_merchant_is_refused_and_not_made(change: dict[str, str], param: str) -> None:
    t = make_tenants(totp=True)
    body = {"name": "Shop", "country": "US", "default_currency": "USD", **change}
    status, answer = call(
        "POST", "/v1/merchants", body, headers=as_person(t, "owner", level="reseller")
    )
    assert status == 400
    assert param in str(answer["error"]["param"])
    with tenant_atomic(t.reseller_scope):
        assert Merchant.objects.count() == 1


def test_the_team_over_the_api() -> None:
    t = make_tenants(totp=True)
    headers = as_person(t, "owner")
    viewer = t.memberships["merchant.viewer"].public_id
    status, answer = call("PATCH", f"/v1/team/{viewer}", {"role": "admin"}, headers=headers)
    assert (status, answer["data"]["role"]) == (200, "admin")
    assert call("DELETE", f"/v1/team/{viewer}", headers=headers)[0] == 200
    status, answer = call("GET", "/v1/team", headers=headers)
    assert [row["role"] for row in answer["data"]["items"]] == ["owner", "admin", "developer"]
    email = f"api.{t.merchant.id.hex}@example.test"
    status, answer = call(
        "POST", "/v1/team/invitations", {"email": email, "role": "viewer"}, headers=headers
    )
    assert status == 201
    invitation = answer["data"]["id"]
    status, answer = call("GET", "/v1/team/invitations", headers=headers)
    assert [row["email"] for row in answer["data"]["items"]] == [email]
    assert call("DELETE", f"/v1/team/invitations/{invitation}", headers=headers)[0] == 200
    status, answer = call("GET", "/v1/team/invitations", headers=headers)
    assert answer["data"]["items"] == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_reseller_changes_its_own_team_and_not_its_merchants(method: str) -> None:
    t = make_tenants(totp=True)
    headers = as_person(t, "owner", level="reseller")
    body = {"role": "viewer"} if method == "PATCH" else None
    foreign = t.memberships["merchant.admin"]
    status, _ = call(method, f"/v1/team/{foreign.public_id}", body, headers=headers)
    assert status == 404
    with tenant_atomic(t.scope):
        assert Membership.objects.get(id=foreign.id).role == "admin"
    own = t.memberships["reseller.admin"]
    status, answer = call(method, f"/v1/team/{own.public_id}", body, headers=headers)
    assert status == 200, answer
    with tenant_atomic(t.reseller_scope):
        left = Membership.objects.filter(id=own.id).values_list("role", flat=True)
        assert list(left) == (["viewer"] if method == "PATCH" else [])
    if method == "PATCH":
        user = t.users["reseller.admin"]
        assert (answer["data"]["email"], answer["data"]["role"]) == (user.email, "viewer")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/auth/login", {"email": "a@example.test", "password": "x", "opt": "123456"}),
        ("POST", "/v1/auth/refresh", {"refresh_token": "x", "token": "x"}),
        ("POST", "/v1/auth/logout", {"refresh_token": "x", "all": True}),
        ("POST", "/v1/client/session", {"client_id": "x", "client_secret": "x", "scopes": "x"}),
        ("POST", "/v1/api_keys", {"name": "Small", "scope": ["payments.read"]}),
        ("POST", "/v1/api_keys/{key}/rotate", {"overlap": 0}),
        ("PATCH", "/v1/team/{member}", {"role": "viewer", "level": "reseller"}),
        ("POST", "/v1/team/invitations", {"email": "a@example.test", "role": "viewer", "mer": "x"}),
        ("POST", "/v1/merchants", {"name": "x", "country": "US", "default_curency": "USD"}),
        ("GET", "/v1/api_keys?livemode=true", None),
        ("GET", "/v1/team?role=owner", None),
        ("GET", "/v1/team/invitations?email=a", None),
        ("GET", "/v1/merchants?state=active", None),
    ],
)
def test_a_misspelt_parameter_is_refused_and_not_ignored(
    method: str, path: str, body: dict[str, Any] | None
) -> None:
    t = make_tenants(totp=True)
    level = "reseller" if "merchants" in path else "merchant"
    path = path.format(
        key=t.key_rows["pk", False].public_id, member=t.memberships["merchant.admin"].public_id
    )
    headers = {} if "/auth/" in path or "client" in path else as_person(t, "owner", level=level)
    status, answer = call(method, path, body, headers=headers)
    assert (status, answer["error"]["code"]) == (400, "parameter_unknown"), answer
    with tenant_atomic(t.scope):
        assert ApiKey.objects.count() == 4
