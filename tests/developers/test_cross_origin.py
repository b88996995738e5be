"""What a payer's browser asks before it lets a shop's page call us."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.api import Api, new_api

PREFLIGHT = {
    "Origin": "https://shop.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-request-id",
}


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def test_the_preflight_of_a_token_needs_no_key() -> None:
    answer = Client().options("/v1/tokens", headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "POST"
    named = {name.strip() for name in answer["Access-Control-Allow-Headers"].lower().split(",")}
    assert {"authorization", "content-type", "x-request-id", "idempotency-key"} <= named
    assert {"traceparent", "baggage", "sentry-trace"} <= named
    assert "Access-Control-Allow-Credentials" not in answer


def test_a_page_may_read_a_token_and_what_was_wrong_with_it(api: Api) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    public = api.tenants.publishable_key_test
    for body, secret, status in (
        ({"card": card}, public, 201),
        ({"card": {**card, "cvc": "1"}}, public, 400),
        ({"card": card}, "mk_pk_test_nonsense", 401),
        ({"card": card}, api.tenants.publishable_key_live, 400),
    ):
        answer = api.post("/v1/tokens", body, secret=secret, Origin="https://shop.example")
        assert answer.status_code == status
        assert answer["Access-Control-Allow-Origin"] == "*", status
        assert "X-Request-Id" in answer["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/customers", "/v1/refunds"])
def test_nothing_else_may_be_called_by_a_foreign_page(api: Api, path: str) -> None:
    assert Client().options(path, headers=PREFLIGHT).status_code == 401
    for answer in (Client().options(path, headers=PREFLIGHT), api.get(path)):
        assert "Access-Control-Allow-Origin" not in answer
