"""A process really killed at every step of the saga: after recovery the money is right.

Right means: at most one effect at the provider, the books agree with it, nothing stays reserved,
and a retry under the same Idempotency-Key finds the same object.
"""

from __future__ import annotations

import json

import pytest

from payments.intents.states import IntentState
from tests.api import Api, new_api
from tests.payments.support import books, charges, crash, later, recover


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


@pytest.mark.parametrize("at", ["intent.reserved", "intent.authorize.answered", "intent.committed"])
def test_killed_while_charging(api: Api, admin_dsn: str, at: str) -> None:
    merchant_id = api.tenants.merchant.id
    body = {
        "amount": 10_000,
        "currency": "EUR",
        "confirm": True,
        "payment_method_token": api.token(),
    }
    crash(api, at, "POST", "/v1/payments", json.dumps(body), "once")

    (intent,) = recover(admin_dsn, merchant_id)

    assert intent.state == IntentState.SETTLED
    assert charges(admin_dsn, merchant_id) == [(10_000, 0)]
    found = books(admin_dsn, merchant_id)
    assert found["provider_clearing"] == -10_000
    assert found["merchant_pending"] == 10_000 - intent.fee_minor
    assert (found["pending"], found["sum"]) == (0, 0)
    later(admin_dsn, merchant_id)
    retry = api.post("/v1/payments", body, key="once")
    assert retry.status_code == 201, retry.content
    assert retry.headers["Idempotent-Replayed"] == "true"
    assert retry.json()["data"]["status"] == "completed"
    listed = api.get("/v1/payments").json()["data"]["items"]
    assert [each["id"] for each in listed] == [retry.json()["data"]["id"]]


@pytest.mark.parametrize(
    "at", ["intent.settle.begun", "intent.settle.answered", "intent.committed"]
)
def test_killed_while_capturing(api: Api, admin_dsn: str, at: str) -> None:
    merchant_id = api.tenants.merchant.id
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    path = f"/v1/payments/{made['id']}/capture"
    crash(api, at, "POST", path, '{"amount": 600}', "once")

    (intent,) = recover(admin_dsn, merchant_id)

    assert (intent.state, intent.settled_amount_minor) == (IntentState.SETTLED, 600)
    assert charges(admin_dsn, merchant_id) == [(600, 0)]
    found = books(admin_dsn, merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-600, 0, 0)
    again = api.post(path, {"amount": 400})
    assert again.status_code == 409
    assert charges(admin_dsn, merchant_id) == [(600, 0)]


@pytest.mark.parametrize("at", ["intent.void.begun", "intent.void.answered", "intent.committed"])
def test_killed_while_canceling(api: Api, admin_dsn: str, at: str) -> None:
    merchant_id = api.tenants.merchant.id
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    crash(api, at, "POST", f"/v1/payments/{made['id']}/cancel", "{}", "once")

    (intent,) = recover(admin_dsn, merchant_id)

    assert intent.state == IntentState.CANCELED
    assert charges(admin_dsn, merchant_id) == [(0, 0)]
    found = books(admin_dsn, merchant_id)
    assert {name: value for name, value in found.items() if value} == {}
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "canceled"


@pytest.mark.parametrize("at", ["intent.reserved", "intent.authorize.answered", "intent.committed"])
def test_killed_while_refunding(api: Api, admin_dsn: str, at: str) -> None:
    merchant_id = api.tenants.merchant.id
    payment = api.pay(amount=1_000).json()["data"]
    body = {"payment": payment["id"], "amount": 400}
    crash(api, at, "POST", "/v1/refunds", json.dumps(body), "once")

    states = [intent.state for intent in recover(admin_dsn, merchant_id)]

    assert states == [IntentState.SETTLED, IntentState.SETTLED]
    assert charges(admin_dsn, merchant_id) == [(1_000, 400)]
    found = books(admin_dsn, merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-600, 0, 0)
    later(admin_dsn, merchant_id)
    retry = api.post("/v1/refunds", body, key="once")
    assert retry.json()["data"]["status"] == "completed"
    (refund,) = api.get(f"/v1/refunds?payment={payment['id']}").json()["data"]["items"]
    assert refund["id"] == retry.json()["data"]["id"]


def test_an_answer_lost_after_the_charge_is_found_by_our_reference(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay("4000000000005043", amount=700).json()["data"]
    assert made["status"] == "processing"

    (intent,) = recover(admin_dsn, api.tenants.merchant.id)

    assert intent.state == IntentState.SETTLED
    assert charges(admin_dsn, api.tenants.merchant.id) == [(700, 0)]
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"


def test_a_request_that_never_arrived_fails_and_charges_nothing(api: Api, admin_dsn: str) -> None:
    made = api.pay("4000000000004087", amount=700).json()["data"]
    assert made["status"] == "processing"

    (intent,) = recover(admin_dsn, api.tenants.merchant.id)

    assert (intent.state, intent.failure_code) == (IntentState.FAILED, "provider_never_received")
    assert charges(admin_dsn, api.tenants.merchant.id) == []
    found = books(admin_dsn, api.tenants.merchant.id)
    assert {name: value for name, value in found.items() if value} == {}
    read = api.get(f"/v1/payments/{made['id']}").json()["data"]
    assert (read["status"], read["failure"]["code"]) == ("failed", "provider_never_received")
