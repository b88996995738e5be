"""What is refused before anything is done: NUL characters, large bodies, too many calls."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.test import Client

from core import hmac_auth
from core.api.views import default_rate
from core.errors import InvalidRequest
from core.idempotency import check_key
from core.ratelimit import Rate
from payments.acceptance.api.tokens import TokensView
from tenants import api as doors
from tenants.api import ApiKeyView
from tests.api import CARD_OK, Api, new_api
from tests.factories import make_tenants
from tests.tenants.test_permission_table import browser_for


@pytest.fixture
def api(database: str) -> Api:
    return new_api(service_caller=True)


# ---- NUL characters in pages ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/payments?q=%00", "/payments?%00=1", "/payments/pay_%00"])
def test_a_nul_in_a_pages_address_is_400_and_says_so(path: str) -> None:
    browser = browser_for(make_tenants(totp=True), "merchant", "owner")
    answer = browser.get(path)
    assert answer.status_code == 400
    assert "Something in the address or the form was not understood" in answer.content.decode()


@pytest.mark.parametrize("content", ["application/x-www-form-urlencoded", "multipart"])
def test_a_nul_in_a_form_is_400(content: str) -> None:
    form = {"email": "a\x00@example.test", "password": "x"}
    answer = (
        Client().post("/login", form)
        if content == "multipart"
        else Client().generic("POST", "/login", b"email=a%00&password=x", content_type=content)
    )
    assert answer.status_code == 400
    assert "text/html" in answer.headers["Content-Type"]


def test_a_nul_in_the_admin_is_400() -> None:
    browser = browser_for(make_tenants(totp=True), "platform", "support")
    assert browser.get("/admin/core/outboxevent/?livemode__exact=%00").status_code == 400


# ---- bodies -----------------------------------------------------------------------------------

LARGE = b'{"a": "' + b"a" * 2_000_000 + b'"}'


def test_a_large_signed_body_is_413_before_anybody_reads_it(api: Api) -> None:
    headers = hmac_auth.sign_headers(
        key_id=api.tenants.service_key_id,
        secret=api.tenants.service_secret.encode(),
        method="POST",
        url="http://testserver/v1/intents",
        body=LARGE,
        idempotency_key="large",
    )
    answer = Client().post("/v1/intents", LARGE, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/v1/payments/pay_x/cancel", "/v1/api_keys/key_x/revoke"])
def test_a_large_body_that_nobody_needs_is_413(path: str, api: Api) -> None:
    answer = api.call("POST", path, raw=LARGE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def test_a_large_body_of_nobody_is_413() -> None:
    answer = Client().post("/v1/payments", LARGE, content_type="application/json")
    assert answer.status_code == 413


# ---- rates ------------------------------------------------------------------------------------


def test_a_call_too_many_is_429_with_all_headers(api: Api, settings: Any) -> None:
    settings.API_RATE_PER_S = 1
    assert default_rate() == Rate(limit=10, period_s=10)
    allowed = [api.get("/v1/payments") for _ in range(10)]
    assert [answer.status_code for answer in allowed] == [200] * 10
    assert allowed[0].headers["RateLimit-Remaining"] == "9"

    refused = api.get("/v1/payments")

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limited"
    assert refused.headers["RateLimit-Limit"] == "10"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["RateLimit-Policy"] == "10;w=10"
    assert 1 <= int(refused.headers["RateLimit-Reset"]) <= 10
    assert refused.headers["Retry-After"] == "1"
    assert api.get("/v1/refunds").status_code == 200


def test_by_default_a_key_has_a_hundred_calls_a_second_and_ten_seconds_at_once() -> None:
    assert default_rate() == Rate(limit=1_000, period_s=10)


def _tokenise(api: Api, address: str) -> Any:
    api.client.defaults["REMOTE_ADDR"] = address
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    return api.post("/v1/tokens", {"card": card}, secret=api.tenants.publishable_key_test)


def test_one_visitor_cannot_spend_the_publishable_key_of_all_payers(
    api: Api, settings: Any
) -> None:
    assert TokensView.shared_rate == Rate(limit=10_000, period_s=10)
    settings.API_RATE_PER_S = 1
    allowed = [_tokenise(api, "2001:db8:1:1::1") for _ in range(10)]
    assert [answer.status_code for answer in allowed] == [201] * 10
    assert allowed[0].headers["RateLimit-Limit"] == "10"

    # Another address of the same line is the same visitor; of another line it is another payer.
    assert _tokenise(api, "2001:db8:1:1::2").status_code == 429
    assert _tokenise(api, "2001:db8:1:2::1").status_code == 201
    assert _tokenise(api, "198.51.100.7").status_code == 201


def test_a_publishable_key_has_an_allowance_as_a_whole(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokensView, "shared_rate", Rate(limit=2, period_s=60))

    answers = [_tokenise(api, f"198.51.100.{last}") for last in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[2].headers["RateLimit-Limit"] == "2"


@pytest.mark.parametrize("path", ["/v1/auth/refresh", "/v1/auth/logout", "/v1/client/session"])
def test_doors_without_a_caller_are_counted_by_address(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for view in (doors.RefreshView, doors.LogoutView, doors.ClientSessionView):
        assert view.address_rate == doors.ADDRESS_RATE
        monkeypatch.setattr(view, "address_rate", Rate(limit=1, period_s=60))
    here, elsewhere = (f"2001:db8:{secrets.token_hex(2)}::1" for _ in range(2))

    def knock(address: str) -> Any:
        return Client(REMOTE_ADDR=address).post(path, {}, content_type="application/json")

    assert knock(here).status_code == 400
    refused = knock(here)
    assert refused.status_code == 429
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["Retry-After"]
    assert knock(elsewhere).status_code == 400


# ---- keys of a request ------------------------------------------------------------------------


@pytest.mark.parametrize("key", [CARD_OK, f"order {CARD_OK}", "4242-4242-4242-4242"])
def test_a_card_number_is_no_idempotency_key(key: str, api: Api) -> None:
    with pytest.raises(InvalidRequest):
        check_key(key, required=False)
    answer = api.post("/v1/customers", {"email": "a@example.test"}, key=key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "card_number_refused")
    assert CARD_OK not in answer.content.decode()


def test_a_random_key_may_hold_many_digits() -> None:
    for key in (
        "4242424242424242ab", "a4242424242424242", "9f86d081884c7d65", "20261130271764",
        "738902353240694486", "order-20261130-3178552",
    ):  # fmt: skip
        assert check_key(key, required=True) == key


# ---- methods ----------------------------------------------------------------------------------


def test_head_needs_what_get_needs(api: Api) -> None:
    pk = api.tenants.publishable_key_test
    assert api.call("GET", "/v1/payments", secret=pk).status_code == 403
    assert api.call("HEAD", "/v1/payments", secret=pk).status_code == 403
    assert api.call("HEAD", "/v1/payments").status_code == 200


def test_a_method_without_a_permission_is_not_served(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A handler that somebody wrote and whose permission he forgot.
    monkeypatch.setattr(ApiKeyView, "permissions", {})
    for method in ("GET", "HEAD"):
        assert api.call(method, "/v1/api_keys/key_x").status_code == 405
    for method in ("PUT", "PATCH", "TRACE"):
        answer = api.call(method, "/v1/payments")
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert api.call("OPTIONS", "/v1/payments").status_code == 200
