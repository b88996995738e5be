"""`GET /v1/payments`: each filter finds its payment and leaves the others out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import Api, new_api
from tests.factories import make_tenants


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({"number": "4000000000000002"}, "status=failed,canceled"),
        ({}, "status=completed&created_from=2001-01-01&created_to=2999-01-01&amount_max=500"),
        ({"amount": 2_000}, "amount_min=2000"),
        ({"customer": True}, "customer={customer}"),
        ({"customer": True}, "email=ADA@shop.example"),
        ({"customer": True}, "search=ada@shop.example"),
        ({"reference": "order-7"}, "reference=order-7"),
        ({"reference": "order-7"}, "search=order-7"),
        ({"reference": "order-7"}, "merchant={merchant}&reference=order-7"),
        ({"number": "5555555555554444"}, "last4=4444"),
        ({"number": "5555555555554444"}, "search=4444"),
        ({"currency": "USD"}, "currency=usd"),
        ({"currency": "USD"}, "search={id}"),
    ],
)
def test_each_filter_finds_its_payment_and_no_other(
    api: Api, fields: dict[str, Any], query: str
) -> None:
    body = {"email": "ada@shop.example"}
    customer = api.post("/v1/customers", body).json()["data"]["id"]
    other = api.pay(amount=900).json()["data"]["id"]
    given = {"amount": 500, **fields, **({"customer": customer} if "customer" in fields else {})}
    answer = api.pay(given.pop("number", "4242424242424242"), **given).json()
    wanted = (answer.get("data") or answer["error"]["details"]["payment"])["id"]

    asked = query.format(customer=customer, merchant=api.tenants.merchant.public_id, id=wanted)
    listed = api.get(f"/v1/payments?{asked}")

    assert listed.status_code == 200, listed.content
    assert [each["id"] for each in listed.json()["data"]["items"]] == [wanted]
    everything = api.get("/v1/payments").json()["data"]["items"]
    assert [each["id"] for each in everything] == [wanted, other]


@pytest.mark.parametrize(
    "query", ["created_to=2001-01-01", "created_from=2999-01-01", "currency=JPY", "last4=0000"]
)
def test_a_filter_that_fits_nothing_finds_nothing(api: Api, query: str) -> None:
    api.pay(amount=500)
    assert api.get(f"/v1/payments?{query}").json()["data"]["items"] == []


def test_a_filter_by_a_merchant_that_the_caller_does_not_see_is_answered_as_a_foreign_id(
    api: Api,
) -> None:
    api.pay(amount=500)
    other = make_tenants()
    for foreign in (other.merchant.public_id, "mer_01kah8q3v5e0trz5b2m8x1c9dn"):
        answer = api.get(f"/v1/payments?merchant={foreign}")
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("resource_missing", "merchant")
