"""Test and live never mix, whichever way an object of the other mode is named."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.api import Api, new_api
from tests.payments.support import books, charges


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


@pytest.fixture
def live(api: Api) -> Api:
    return Api(api.tenants, livemode=True)


def _saved(api: Api) -> tuple[str, str]:
    customer = api.post("/v1/customers", {"email": "payer@shop.example"}).json()["data"]["id"]
    body = {"customer": customer, "token": api.token()}
    return customer, api.post("/v1/payment_methods", body).json()["data"]["id"]


def test_a_live_key_finds_nothing_of_test_mode_and_moves_nothing(
    api: Api, live: Api, admin_dsn: str
) -> None:
    held = api.pay(amount=1_000, capture_method="manual").json()["data"]["id"]
    done = api.pay(amount=700).json()["data"]["id"]
    waiting = api.post("/v1/payments", {"amount": 1, "currency": "EUR"}).json()["data"]["id"]
    refund = api.post("/v1/refunds", {"payment": done, "amount": 100}).json()["data"]["id"]
    customer, method = _saved(api)
    before = books(admin_dsn, api.tenants.merchant.id)
    fresh = {"amount": 1, "currency": "EUR"}

    tried: list[Any] = [
        *(live.get(f"/v1/payments/{each}") for each in (held, done, waiting)),
        live.post(f"/v1/payments/{held}/capture"),
        live.post(f"/v1/payments/{held}/cancel"),
        live.post(f"/v1/payments/{waiting}/cancel"),
        live.post(f"/v1/payments/{waiting}/confirm", {"payment_method_token": "tok_x"}),
        live.post("/v1/refunds", {"payment": done}),
        live.get(f"/v1/refunds/{refund}"),
        live.get(f"/v1/refunds?payment={done}"),
        live.get(f"/v1/payments?customer={customer}"),
        live.get(f"/v1/customers/{customer}"),
        live.call("DELETE", f"/v1/customers/{customer}"),
        live.get(f"/v1/payment_methods/{method}"),
        live.post("/v1/payments", {**fresh, "customer": customer}),
        live.post("/v1/payments", {**fresh, "payment_method": method}),
        live.post("/v1/payments", {**fresh, "payment_method": method, "confirm": True}),
    ]

    assert [answer.status_code for answer in tried] == [404] * len(tried)
    for path in ("/v1/payments", "/v1/refunds", "/v1/customers", "/v1/events"):
        assert live.get(path).json()["data"]["items"] == []
    assert live.get("/v1/balance").json()["data"]["balances"] == []
    assert books(admin_dsn, api.tenants.merchant.id) == before
    assert charges(admin_dsn, api.tenants.merchant.id) == [(0, 0), (700, 100)]
    states = [api.get(f"/v1/payments/{each}").json()["data"]["status"] for each in (held, waiting)]
    assert states == ["processing", "pending"]


def test_a_neighbour_finds_nothing_either(api: Api, admin_dsn: str) -> None:
    neighbour = new_api()
    held = api.pay(amount=1_000, capture_method="manual").json()["data"]["id"]
    done = api.pay(amount=700).json()["data"]["id"]
    customer, method = _saved(api)
    fresh = {"amount": 1, "currency": "EUR"}

    tried: list[Any] = [
        neighbour.get(f"/v1/payments/{held}?expand=events,attempts,ledger"),
        neighbour.post(f"/v1/payments/{held}/capture"),
        neighbour.post(f"/v1/payments/{held}/cancel"),
        neighbour.post("/v1/refunds", {"payment": done}),
        neighbour.get(f"/v1/payments?customer={customer}"),
        neighbour.post("/v1/payments", {**fresh, "customer": customer}),
        neighbour.post("/v1/payments", {**fresh, "payment_method": method, "confirm": True}),
    ]

    assert [answer.status_code for answer in tried] == [404] * len(tried)
    assert charges(admin_dsn, api.tenants.merchant.id) == [(0, 0), (700, 0)]
    assert charges(admin_dsn, neighbour.tenants.merchant.id) == []


def test_one_key_may_be_used_once_in_each_mode(api: Api, live: Api) -> None:
    body = {"amount": 100, "currency": "EUR"}
    made = [each.post("/v1/payments", body, key="same") for each in (api, live)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert [answer.json()["data"]["livemode"] for answer in made] == [False, True]


def test_a_token_of_another_merchant_charges_nothing(api: Api, admin_dsn: str) -> None:
    neighbour = new_api()
    answer = neighbour.pay(token=api.token())
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")
    assert charges(admin_dsn, neighbour.tenants.merchant.id) == []


def test_a_merchant_that_is_not_active_takes_no_live_payment(database: str) -> None:
    pending = new_api(status="pending")
    live = Api(pending.tenants, livemode=True)
    body = {"amount": 100, "currency": "EUR"}

    refused = live.post("/v1/payments", body)

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "merchant_not_active")
    assert live.get("/v1/payments").json()["data"]["items"] == []
    assert pending.post("/v1/payments", body).status_code == 201


def test_a_live_payment_is_not_confirmed_once_its_merchant_was_stopped(
    api: Api, live: Api, admin_dsn: str
) -> None:
    made = live.post("/v1/payments", {"amount": 100, "currency": "EUR"}).json()["data"]["id"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update tenants_merchant set status = 'suspended' where id = %s",
            [api.tenants.merchant.id],
        )
    confirm = f"/v1/payments/{made}/confirm"
    refused = live.post(confirm, {"payment_method_token": "tok_x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "merchant_not_active")
