"""The doors of the API: keys, tokens, signatures; and what each refuses."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.request import Request

from core import errors, hmac_auth
from core.context import Actor
from core.db import Scope, tenant_atomic
from tenants import keys, tokens
from tenants.authentication import MERCHANT, RequestAuthentication
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import ApiKey, Membership, Merchant
from tenants.services import api_keys, sessions
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.places import make_place
from tests.portal.support import signed_in

HOST = "127.0.0.1:8000"


def authenticate(ip: str = "203.0.113.7", target: str = "", **headers: str) -> Actor:
    """As Django is asked for a request; `target` is the one on the wire, where a server says it."""
    http = RequestFactory().get("/v1/payments", headers=headers, REMOTE_ADDR=ip)
    if target:
        http.META |= {"RAW_URI": target, "QUERY_STRING": target.partition("?")[2]}
    found = RequestAuthentication().authenticate(Request(http))
    assert found is not None
    return found[1]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def change_key(t: Tenants, **changes: Any) -> None:
    with tenant_atomic(t.scope):
        ApiKey.objects.filter(id=t.key_rows["sk", False].id).update(**changes)


def test_a_key_names_its_merchant_mode_and_rights() -> None:
    t = make_tenants()
    for livemode in (False, True):
        actor = authenticate(**bearer(t.keys["sk", livemode]))
        assert actor == Actor(
            kind="api_key",
            id=t.key_rows["sk", livemode].public_id,
            label=t.key_rows["sk", livemode].name,
            merchant_id=t.merchant.id,
            reseller_id=t.reseller.id,
            livemode=livemode,
            scopes=t.key_actor().scopes,
            ip="203.0.113.7",
        )


def test_a_key_is_found_with_all_facts_by_one_statement() -> None:
    t = make_tenants(default_currency="EUR", fee_bps=175)
    http = RequestFactory().get("/", headers=bearer(t.secret_key_test), REMOTE_ADDR="203.0.113.7")
    with CaptureQueriesContext(connection) as queries:
        RequestAuthentication().authenticate(Request(http))
    assert len(queries) == 1
    facts = MERCHANT.of(http)
    assert facts is not None
    assert (facts.merchant_id, facts.default_currency, facts.fee_bps) == (
        t.merchant.id,
        "EUR",
        175,
    )
    assert facts.is_active


def test_a_key_works_as_the_user_of_http_basic() -> None:
    t = make_tenants()
    credential = base64.b64encode(f"{t.secret_key_test}:".encode()).decode()
    assert authenticate(Authorization=f"Basic {credential}").merchant_id == t.merchant.id


def test_a_typo_is_refused_without_a_query() -> None:
    text = make_tenants().secret_key_test
    typo = text[:-1] + ("a" if text[-1] != "a" else "b")
    with (
        CaptureQueriesContext(connection) as queries,
        pytest.raises(errors.AuthenticationFailed) as caught,
    ):
        authenticate(**bearer(typo))
    assert caught.value.code == "api_key_malformed"
    assert len(queries) == 0


def test_a_well_formed_but_unknown_key_is_refused() -> None:
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate(**bearer(keys.generate(kind="sk", livemode=False).text))
    assert caught.value.code == "api_key_invalid"


def test_the_right_lookup_id_with_another_secret_is_refused() -> None:
    t = make_tenants()
    known = keys.parse(t.secret_key_test)
    assert known is not None
    body = f"mk_sk_test_{known.lookup_id}" + "a" * 43
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate(**bearer(body + keys.checksum(body)))
    assert caught.value.code == "api_key_invalid"


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_revoked_or_expired_key_is_refused(column: str) -> None:
    t = make_tenants()
    change_key(t, **{column: timezone.now() - timedelta(seconds=1)})
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate(**bearer(t.secret_key_test))
    assert caught.value.code == "api_key_invalid"
    assert authenticate(**bearer(t.secret_key_live)).livemode


def test_the_address_must_be_on_the_allowlist() -> None:
    t = make_tenants()
    change_key(t, ip_allowlist=["203.0.113.0/24", "2001:db8::/32"])
    for ip in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1"):
        assert authenticate(ip=ip, **bearer(t.secret_key_test)).ip == ip
    for ip in ("198.51.100.1", "::1", "::ffff:198.51.100.1"):
        with pytest.raises(errors.PermissionDenied) as caught:
            authenticate(ip=ip, **bearer(t.secret_key_test))
        assert caught.value.code == "ip_not_allowed"


def test_keys_of_a_closed_merchant_end() -> None:
    t = make_tenants()
    with tenant_atomic(Scope.staff()):
        Merchant.objects.filter(id=t.merchant.id).update(status="closed")
    with pytest.raises(errors.AuthenticationFailed):
        authenticate(**bearer(t.secret_key_test))


def test_last_use_is_noted_at_most_every_ten_minutes() -> None:
    t = make_tenants()
    change_key(t, last_used_at=None)
    authenticate(**bearer(t.secret_key_test))
    with tenant_atomic(t.scope):
        first = ApiKey.objects.get(id=t.key_rows["sk", False].id).last_used_at
    authenticate(**bearer(t.secret_key_test))
    with tenant_atomic(t.scope):
        assert ApiKey.objects.get(id=t.key_rows["sk", False].id).last_used_at == first
    assert first is not None


def test_rotation_overlaps_and_then_ends_the_old_key() -> None:
    t = make_tenants()
    old = t.key_rows["sk", False]
    new, text = api_keys.api_key_rotate(
        actor=t.actor("owner"), key_id=old.id, overlap=timedelta(hours=1)
    )
    assert authenticate(**bearer(t.secret_key_test)).id == old.public_id
    assert authenticate(**bearer(text)).id == new.public_id
    change_key(t, expires_at=timezone.now())
    with pytest.raises(errors.AuthenticationFailed):
        authenticate(**bearer(t.secret_key_test))
    assert authenticate(**bearer(text)).id == new.public_id


@pytest.mark.parametrize("value", ["Token abc", "Bearer", "Basic !!!", "Bearer mk_", "Digest x"])
def test_other_credentials_are_refused(value: str) -> None:
    with pytest.raises(errors.AuthenticationFailed):
        authenticate(Authorization=value)


def test_without_a_credential_nobody_is_authenticated() -> None:
    http = RequestFactory().get("/v1/payments")
    assert RequestAuthentication().authenticate(Request(http)) is None


# ---- access tokens --------------------------------------------------------------------------


def token_of(t: Tenants, role: str = "admin", **more: Any) -> str:
    pair = sessions.jwt_login(
        email=t.users[f"merchant.{role}"].email,
        password=PASSWORD,
        otp="",
        tenant="",
        livemode=False,
        place=make_place(),
    )
    return pair.access_token


def test_an_access_token_is_the_person_in_the_seat() -> None:
    t = make_tenants()
    actor = authenticate(**bearer(token_of(t)))
    assert actor.kind == "user"
    assert actor.user_id == t.users["merchant.admin"].id
    assert (actor.merchant_id, actor.role, actor.livemode) == (t.merchant.id, "admin", False)
    assert "payments.read" in actor.scopes
    assert "payments.refund" not in actor.scopes  # no second factor


def forge(t: Tenants, *, key: Any = None, algorithm: str = "HS256", **changes: Any) -> str:
    claims = jwt.decode(token_of(t), options={"verify_signature": False})
    headers = {"kid": "1", "typ": changes.pop("typ", "at+jwt")}
    claims.update(changes)
    signing = key if key is not None else tokens._read_keys(tuple(_jwt_keys()))[1]
    return jwt.encode(claims, signing, algorithm=algorithm, headers=headers)


def _jwt_keys() -> list[str]:
    from django.conf import settings

    return list(settings.JWT_KEYS)


def test_a_forgery_by_our_own_hand_verifies_so_that_the_refusals_below_mean_something() -> None:
    assert authenticate(**bearer(forge(make_tenants()))).kind == "user"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"iss": "https://evil.example"},
        {"exp": 1_700_000_000},
        {"typ": "JWT"},
        {"key": "0" * 32},
        pytest.param(
            {"algorithm": "HS512"},
            # Signed with our own key, so that the algorithm is what is refused.
            marks=pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
        ),
        {"algorithm": "none", "key": ""},
        {"sub": "not-a-uuid"},
        {"exp": None},
    ],
)
def test_a_wrong_token_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate(**bearer(forge(make_tenants(), **changes)))
    assert caught.value.code in ("token_invalid", "token_expired")


def test_an_access_token_lives_at_most_five_minutes() -> None:
    claims = jwt.decode(token_of(make_tenants()), options={"verify_signature": False})
    assert 0 < claims["exp"] - claims["iat"] <= 300


def test_a_machine_client_gets_a_token_within_its_scopes() -> None:
    t = make_tenants()
    row, secret = api_keys.machine_client_create(
        actor=t.actor("owner"), name="Nightly export", scopes=["payments.read"]
    )
    pair = sessions.machine_session(
        client_id=row.client_id, client_secret=secret, place=make_place()
    )
    actor = authenticate(**bearer(pair.access_token))
    assert (actor.kind, actor.id) == ("api_key", row.public_id)
    assert actor.scopes == {"payments.read"}
    assert (actor.merchant_id, actor.livemode) == (t.merchant.id, False)
    assert pair.refresh_token == ""
    with pytest.raises(errors.AuthenticationFailed):
        sessions.machine_session(
            client_id=row.client_id, client_secret=secret[:-1], place=make_place()
        )
    api_keys.machine_client_revoke(actor=t.actor("owner"), client_id=row.id)
    with pytest.raises(errors.AuthenticationFailed):
        sessions.machine_session(client_id=row.client_id, client_secret=secret, place=make_place())


# ---- signed requests ------------------------------------------------------------------------


def signed(t: Tenants, **changes: Any) -> dict[str, str]:
    return hmac_auth.sign_headers(
        **{
            "key_id": t.service_key_id,
            "secret": t.service_secret.encode(),
            "method": "GET",
            "url": f"http://{HOST}/v1/payments",
            "content_type": "",
            **changes,
        }
    )


def authenticate_signed(headers: dict[str, str]) -> Actor:
    return authenticate(Host=HOST, **headers)


def test_a_signed_request_is_the_service_caller() -> None:
    t = make_tenants(service_caller=True)
    actor = authenticate_signed(signed(t))
    assert (actor.kind, actor.merchant_id) == ("service", None)
    assert actor.scopes == {"intents.create", "intents.read"}


def test_a_signed_request_works_once() -> None:
    t = make_tenants(service_caller=True)
    headers = signed(t)
    authenticate_signed(headers)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate_signed(headers)
    assert caught.value.code == "signature_replayed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": b"another"}, "signature_invalid"),
        ({"url": f"http://{HOST}/v1/refunds"}, "signature_invalid"),
        ({"method": "POST"}, "signature_invalid"),
        ({"body": b"{}"}, "signature_invalid"),
        ({"now_s": time.time() - 301}, "signature_expired"),
        ({"key_id": "svc_nobody"}, "signature_key_unknown"),
    ],
)
def test_a_wrong_signature_is_refused(changes: dict[str, Any], code: str) -> None:
    t = make_tenants(service_caller=True)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        authenticate_signed(signed(t, **changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "target",
    ["/v1/%70ayments", "/v1/payments%2f", "http://127.0.0.1:8000/v1/payments", "/v1/payments#x"],
)
def test_a_signed_path_in_another_spelling_is_refused(target: str) -> None:
    t = make_tenants(service_caller=True)
    with pytest.raises(errors.InvalidRequest) as caught:
        authenticate(Host=HOST, target=target, **signed(t))
    assert caught.value.code == "path_not_canonical"


def test_a_signed_path_in_its_own_spelling_is_taken_with_its_query() -> None:
    t = make_tenants(service_caller=True)
    headers = signed(t, url=f"http://{HOST}/v1/payments?a=%41")
    found = authenticate(Host=HOST, target="/v1/payments?a=%41", **headers)
    assert found.kind == "service"


def session_client(t: Tenants, name: str, **options: Any) -> Client:
    """A browser after the password, before the second step."""
    client = Client(**options)
    client.force_login(t.users[name], backend="django.contrib.auth.backends.ModelBackend")
    session: Any = client.session
    session[SESSION_STARTED] = session[SESSION_SEEN] = int(time.time())
    session.save()
    return client


@pytest.mark.parametrize("name", ["merchant.owner", "merchant.viewer", "platform.support"])
def test_a_session_that_owes_its_second_factor_gets_nothing(name: str) -> None:
    t = make_tenants(totp=True)
    response = session_client(t, name).get("/v1/team")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "otp_required")
    assert signed_in(t, name).get("/v1/team").status_code == 200


def test_an_owner_without_a_second_factor_gets_nothing_and_a_viewer_does() -> None:
    t = make_tenants()
    response = session_client(t, "merchant.owner").get("/v1/team")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "otp_required")
    assert session_client(t, "merchant.viewer").get("/v1/team").status_code == 200


def test_a_session_writes_only_with_a_csrf_token() -> None:
    t = make_tenants(totp=True)
    client = signed_in(t)
    client.handler.enforce_csrf_checks = True
    target = t.memberships["merchant.viewer"]
    path = f"/v1/team/{target.public_id}"
    refused = client.delete(path)
    assert refused.status_code == 403
    with tenant_atomic(t.scope):
        assert Membership.objects.filter(id=target.id).exists()
    client.get("/team")
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    assert client.delete(path, headers={"X-CSRFToken": token}).status_code == 200
