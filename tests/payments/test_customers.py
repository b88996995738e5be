"""Customers and their saved cards: what the API changes, forgets, and no longer charges."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from core import ids
from core.db import Scope, tenant_atomic
from payments.acceptance.models import PaymentMethod
from payments.providers.adapters.sandbox.adapter import SandboxAdapter
from payments.providers.adapters.sandbox.server import DatabaseServer
from payments.providers.adapters.sandbox.wire import ServerRefusedError
from payments.providers.base import ProviderError, SavedMethod, SaveMethod
from tests.api import Api, new_api
from tests.payments.support import charges
from tests.payments.test_races import at_once


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _customer(api: Api, **fields: Any) -> str:
    made = api.post("/v1/customers", {"email": "ada@shop.example", **fields})
    assert made.status_code == 201, made.content
    return str(made.json()["data"]["id"])


def _save(api: Api, customer: str, token: str = "") -> Any:
    body = {"customer": customer, "payment_method_token": token or api.token()}
    return api.post("/v1/payment_methods", body)


def _methods(api: Api, customer: str) -> list[str]:
    items = api.get(f"/v1/payment_methods?customer={customer}").json()["data"]["items"]
    return [each["id"] for each in items]


def test_a_customer_is_changed_in_what_is_named_and_told(api: Api) -> None:
    customer = _customer(api, name="Ada", reference="c-1", metadata={"a": "b"})

    changed = api.call("PATCH", f"/v1/customers/{customer}", {"email": " Ada@New.example "})

    assert changed.status_code == 200, changed.content
    read = api.get(f"/v1/customers/{customer}").json()["data"]
    assert read == changed.json()["data"]
    assert (read["email"], read["name"], read["reference"], read["metadata"]) == (
        "ada@new.example",
        "Ada",
        "c-1",
        {"a": "b"},
    )
    types = [each["type"] for each in api.get("/v1/events").json()["data"]["items"]]
    assert types == ["customer.updated", "customer.created"]


def test_a_deleted_customer_is_forgotten_and_the_payments_stay(api: Api) -> None:
    customer = _customer(api, name="Ada", reference="c-1", metadata={"a": "b"})
    method = _save(api, customer).json()["data"]["id"]
    paid = api.pay(amount=700, customer=customer).json()["data"]["id"]

    gone = api.call("DELETE", f"/v1/customers/{customer}")

    assert gone.status_code == 200, gone.content
    data = gone.json()["data"]
    assert (data["email"], data["name"], data["reference"], data["metadata"]) == (
        None,
        None,
        None,
        {},
    )
    assert api.get(f"/v1/customers/{customer}").status_code == 404
    assert api.get("/v1/customers").json()["data"]["items"] == []
    assert api.get(f"/v1/payment_methods/{method}").status_code == 404
    listed = api.get(f"/v1/payments?customer={customer}")
    assert listed.status_code == 200, listed.content
    assert [each["id"] for each in listed.json()["data"]["items"]] == [paid]


def test_repeating_the_request_does_not_bring_a_deleted_customer_back(
    api: Api, admin_dsn: str
) -> None:
    body = {"email": "ada@shop.example", "name": "Ada"}
    other = api.post("/v1/customers", {"email": "bob@shop.example"}, key="other").json()["data"]
    made = api.post("/v1/customers", body, key="ada").json()["data"]
    assert api.post("/v1/customers", body, key="ada").json()["data"] == made

    assert api.call("DELETE", f"/v1/customers/{made['id']}").status_code == 200

    again = api.post("/v1/customers", body, key="ada")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "resource_deleted")
    assert b"ada@" not in again.content.lower()
    assert api.post("/v1/customers", {**body, "name": "Eve"}, key="ada").status_code == 422
    repeated = api.post("/v1/customers", {"email": "bob@shop.example"}, key="other")
    assert repeated.json()["data"] == other
    items = api.get("/v1/customers").json()["data"]["items"]
    assert [each["id"] for each in items] == [other["id"]]
    with psycopg.connect(admin_dsn) as admin:
        kept = admin.execute(
            "select body from core_idempotencyrecord where resource_id = %s",
            [ids.decode("cus", made["id"])],
        ).fetchall()
    assert kept == [(None,)]


def test_a_detached_card_is_not_charged(api: Api, admin_dsn: str) -> None:
    customer = _customer(api)
    method = _save(api, customer).json()["data"]["id"]
    charge = {"amount": 500, "currency": "EUR", "payment_method": method, "confirm": True}
    assert api.post("/v1/payments", charge).status_code == 201

    assert api.call("DELETE", f"/v1/payment_methods/{method}").status_code == 200

    refused = api.post("/v1/payments", charge)
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "payment_method")
    assert _methods(api, customer) == []
    assert charges(admin_dsn, api.tenants.merchant.id) == [(500, 0)]


def test_one_token_saves_one_card_for_one_customer(api: Api) -> None:
    customer, other = _customer(api), _customer(api)
    token = api.token()
    first = _save(api, customer, token)
    again = _save(api, customer, token)
    elsewhere = _save(api, other, token)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["data"]["id"] == first.json()["data"]["id"]
    assert _methods(api, customer) == [first.json()["data"]["id"]]
    assert elsewhere.status_code == 400, elsewhere.content
    assert elsewhere.json()["error"]["code"] == "token_already_used"
    assert _methods(api, other) == []


def test_two_that_save_one_token_at_once_find_one_card(api: Api) -> None:
    customer = _customer(api)
    token = api.token()

    answers = at_once(6, lambda _: _save(Api(api.tenants), customer, token).json())

    assert len({each["data"]["id"] for each in answers}) == 1
    assert len(_methods(api, customer)) == 1


def test_the_sandbox_finds_a_saved_card_for_its_own_merchant_alone(api: Api) -> None:
    neighbour = new_api()
    server = DatabaseServer(uuid.uuid4())
    asked = {"token": api.token(), "idempotency_key": "same"}
    mine = server.attach(merchant_key=api.tenants.merchant.public_id, **asked)
    assert server.attach(merchant_key=api.tenants.merchant.public_id, **asked) == mine

    with pytest.raises(ServerRefusedError) as refused:
        server.attach(merchant_key=neighbour.tenants.merchant.public_id, **asked)

    assert refused.value.code == "resource_missing"


def test_the_providers_customer_is_one_of_the_same_account(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    genuine = SandboxAdapter.save_method

    def listening(adapter: SandboxAdapter, request: SaveMethod) -> SavedMethod:
        sent.append(request.customer)
        return replace(genuine(adapter, request), customer="cus_here")

    monkeypatch.setattr(SandboxAdapter, "save_method", listening)
    customer = _customer(api)
    elsewhere = _save(api, customer).json()["data"]["id"]
    _save(api, customer)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Both were saved at an account that payments went to before.
        admin.execute(
            "update acceptance_paymentmethod set provider_account_id = %s where merchant_id = %s",
            [uuid.uuid4(), api.tenants.merchant.id],
        )

    _save(api, customer)

    assert sent == ["", "cus_here", ""]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        assert PaymentMethod.objects.filter(pk=ids.decode("pm", elsewhere)).exists()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ProviderError("Renew the key.", permanent=True, code="provider_credentials"), 503, ""),
        (ProviderError("Busy.", permanent=False, code="provider_rate_limited"), 503, ""),
        (ProviderError("Declined.", permanent=True, code="card_declined"), 400, "card_declined"),
    ],
)
def test_only_the_tokens_own_faults_are_the_callers(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: ProviderError, status: int, code: str
) -> None:
    def refuse(*_: object) -> SavedMethod:
        raise error

    monkeypatch.setattr(SandboxAdapter, "save_method", refuse)
    customer = _customer(api)

    answer = _save(api, customer)

    assert answer.status_code == status, answer.content
    assert answer.json()["error"]["code"] == (code or "provider_unavailable")
    assert _methods(api, customer) == []


def test_the_token_to_save_is_taken_by_its_earlier_name_too(api: Api) -> None:
    customer = _customer(api)

    saved = api.post("/v1/payment_methods", {"customer": customer, "token": api.token()})
    unknown = api.post("/v1/payment_methods", {"customer": customer, "token": "tok_unknown"})

    assert saved.status_code == 201, saved.content
    assert _methods(api, customer) == [saved.json()["data"]["id"]]
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "token")


def test_a_token_to_save_is_sent_once(api: Api) -> None:
    customer = _customer(api)
    both = {"payment_method_token": api.token(), "token": api.token()}

    answers = [
        api.post("/v1/payment_methods", {"customer": customer, **more}) for more in (both, {})
    ]

    assert [(each.status_code, each.json()["error"]["code"]) for each in answers] == [
        (400, "payment_method_ambiguous"),
        (400, "parameter_missing"),
    ]
    assert {each.json()["error"]["param"] for each in answers} == {"payment_method_token"}
    assert _methods(api, customer) == []
