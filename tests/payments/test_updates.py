"""What a payment or customer says is changed: by key, side by side, and on record."""

from __future__ import annotations

from typing import Any

import pytest

from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tests.api import Api, new_api
from tests.payments.test_races import at_once

OBJECTS = [
    ("/v1/customers", {}),
    ("/v1/payments", {"amount": 4890, "currency": "EUR"}),
]


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _made(api: Api, path: str, body: dict[str, Any], **fields: Any) -> str:
    made = api.post(path, {**body, **fields})
    assert made.status_code == 201, made.content
    return f"{path}/{made.json()['data']['id']}"


def _metadata(api: Api, path: str, changes: Any) -> Any:
    answer = api.call("PATCH", path, {"metadata": changes})
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]["metadata"]


@pytest.mark.parametrize(("path", "body"), OBJECTS)
def test_metadata_is_merged_by_key_and_null_deletes_one(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    one = _made(api, path, body, metadata={"a": "1", "b": "2"})
    assert _metadata(api, one, {"c": "3"}) == {"a": "1", "b": "2", "c": "3"}
    assert _metadata(api, one, {"a": None, "b": "4", "never": None}) == {"b": "4", "c": "3"}
    assert _metadata(api, one, {"b": ""}) == {"b": "", "c": "3"}
    assert _metadata(api, one, {}) == {"b": "", "c": "3"}
    assert api.get(one).json()["data"]["metadata"] == {"b": "", "c": "3"}


@pytest.mark.parametrize(("path", "body"), OBJECTS)
def test_the_limits_hold_after_the_merge(api: Api, path: str, body: dict[str, Any]) -> None:
    one = _made(api, path, body, metadata={f"k{n}": "v" for n in range(50)})
    refused: list[Any] = [{"one_more": "v"}, {"k1": 1}, {"": None}, {"k" * 41: None}, None, []]
    for changes in refused:
        answer = api.call("PATCH", one, {"metadata": changes})
        assert answer.status_code == 400, changes
        assert answer.json()["error"]["param"].startswith("metadata")
    assert len(_metadata(api, one, {"k0": None, "one_more": "v"})) == 50


@pytest.mark.parametrize(("path", "body"), OBJECTS)
def test_null_is_no_value_where_nothing_can_be_deleted(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    answer = api.post(path, {**body, "metadata": {"a": None}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata.a")


@pytest.mark.parametrize(("path", "body"), OBJECTS)
def test_two_changes_at_the_same_time_both_stay(api: Api, path: str, body: dict[str, Any]) -> None:
    one = _made(api, path, body, metadata={"kept": "yes"})
    at_once(4, lambda n: _metadata(api, one, {f"k{n}": str(n)}))
    assert api.get(one).json()["data"]["metadata"] == {
        "kept": "yes",
        **{f"k{n}": str(n) for n in range(4)},
    }


def test_a_payment_is_described_in_every_state_and_it_is_on_record(api: Api) -> None:
    body = {"amount": 4890, "currency": "EUR", "confirm": True, "payment_method_token": api.token()}
    one = _made(api, "/v1/payments", body, description="Lamp", reference="o-1")
    before = api.get(one).json()["data"]
    assert before["status"] == "completed"

    changed = api.call("PATCH", one, {"description": "Two lamps", "reference": "o-1"})

    read = api.get(one).json()["data"]
    assert changed.json()["data"] == read
    assert read == {**before, "description": "Two lamps", "updated_at": read["updated_at"]}
    newest = api.get("/v1/events").json()["data"]["items"][0]
    assert (newest["type"], newest["data"]["description"]) == ("payment.updated", "Two lamps")
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        record = AuditRecord.objects.get(action="payment.updated", target=before["id"])
    assert (record.before, record.after) == ({"description": "Lamp"}, {"description": "Two lamps"})

    api.call("PATCH", one, {"description": "Two lamps"})
    assert api.get("/v1/events").json()["data"]["items"][0]["id"] == newest["id"]


def test_a_payment_of_another_merchant_or_mode_is_not_found(api: Api) -> None:
    one = _made(api, "/v1/payments", {"amount": 4890, "currency": "EUR"})
    for other in (new_api(), Api(api.tenants, livemode=True)):
        assert other.call("PATCH", one, {"description": "Mine"}).status_code == 404
    assert api.get(one).json()["data"]["description"] != "Mine"
    refused = api.call("PATCH", one, {"amount": 1})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "amount")


def test_an_escaped_backslash_spells_no_nul(api: Api) -> None:
    raw = b'{"amount": 100, "currency": "EUR", "description": "a\\\\u0000b"}'
    made = api.post("/v1/payments", raw=raw)
    assert made.status_code == 201, made.content
    assert made.json()["data"]["description"] == "a\\u0000b"
