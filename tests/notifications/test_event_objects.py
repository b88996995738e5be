"""What an event is about: found by the object's id, and forgotten with the customer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import ProgrammingError, connection

from core.context import Actor
from core.db import Scope, fetch_all, tenant_atomic
from core.ids import decode
from core.models import OutboxEvent
from core.unit import Writes
from notifications.payloads import webhook_body
from payments.acceptance.events import REFUND_CREATED
from payments.acceptance.models import Customer
from payments.acceptance.services import customer_delete, customer_update
from tests.api import Api, new_api
from tests.core.support import Thing

PERSONAL = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "reference": "ada-17",
    "metadata": {"phone": "+44 20 7946 0018"},
}


@pytest.fixture
def api() -> Api:
    return new_api()


def events_of(api: Api, object_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/v1/events?object={object_id}").json()["data"]["items"]
    return found


def row_of(event_id: str) -> OutboxEvent:
    with tenant_atomic(Scope.worker()):
        return OutboxEvent.objects.get(id=decode("evt", event_id))


def customer(api: Api, **changes: Any) -> str:
    made = api.post("/v1/customers", {**PERSONAL, **changes})
    assert made.status_code == 201, made.content
    return str(made.json()["data"]["id"])


def test_a_refunds_events_are_found_by_the_refunds_id(api: Api) -> None:
    payment = api.pay().json()["data"]["id"]
    refund = api.post("/v1/refunds", {"payment": payment, "amount": 100}).json()["data"]["id"]

    found = events_of(api, refund)
    assert {event["type"] for event in found} == {"refund.created", "refund.completed"}
    assert {event["data"]["id"] for event in found} == {refund}
    assert {event["data"]["id"] for event in events_of(api, payment)} == {payment}
    # The order of all that happens to a payment is kept, its refunds among it.
    assert {row_of(event["id"]).aggregate for event in found} == {payment}


def test_a_thin_webhook_names_the_object_and_not_what_orders_it(api: Api) -> None:
    with tenant_atomic(api.tenants.scope):
        writes = Writes()
        writes.record(
            Thing.of(api.tenants, "ref_1"),
            action="refund.created",
            event=REFUND_CREATED,
            actor=Actor.system("test"),
            payload={"note": "x" * 30_000},
            aggregate="pay_1",
        )
        writes.flush()
        event = OutboxEvent.objects.get(merchant_id=api.tenants.merchant.id, object_id="ref_1")
    assert b'"data":{"id":"ref_1"}' in webhook_body(event)


def test_a_deleted_customers_events_say_nothing_of_the_person(api: Api) -> None:
    gone, kept = customer(api), customer(api, email="bob@example.com")
    api.call("PATCH", f"/v1/customers/{gone}", {"name": "Ada King"})
    before = events_of(api, gone)
    assert [event["data"]["name"] for event in before] == ["Ada King", "Ada Lovelace"]

    api.call("DELETE", f"/v1/customers/{gone}")

    after = events_of(api, gone)
    assert [event["type"] for event in after] == [
        "customer.deleted",
        "customer.updated",
        "customer.created",
    ]
    assert [event["id"] for event in after[1:]] == [event["id"] for event in before]
    nothing: dict[str, Any] = {"email": None, "name": None, "reference": None, "metadata": {}}
    for event in after:
        assert {name: event["data"][name] for name in nothing} == nothing
        assert (event["data"]["id"], event["data"]["object"]) == (gone, "customer")
        sent = webhook_body(row_of(event["id"])).decode()
        for words in ("ada@example.com", "Ada", "ada-17", "7946"):
            assert words not in sent
    assert [event["data"]["email"] for event in events_of(api, kept)] == ["bob@example.com"]


def test_a_change_under_way_does_not_bring_the_person_back(api: Api) -> None:
    public_id = customer(api)
    customer_id, actor = decode("cus", public_id), api.tenants.key_actor()

    def delete() -> None:
        try:
            with tenant_atomic(api.tenants.scope):
                customer_delete(customer_id=customer_id, actor=actor)
        finally:
            connection.close()

    deletion = threading.Thread(target=delete)
    with tenant_atomic(api.tenants.scope):
        customer_update(customer_id=customer_id, actor=actor, changes={"name": "Ada King"})
        deletion.start()
        deletion.join(0.5)
        assert deletion.is_alive()
    deletion.join()

    with tenant_atomic(api.tenants.scope):
        row = Customer.objects.get(pk=customer_id)
    assert (row.name, row.email) == ("", "")
    assert row.deleted_at is not None
    assert {event["data"]["name"] for event in events_of(api, public_id)} == {None}


@pytest.mark.parametrize("column", ["type", "object_id", "aggregate", "delivered_at"])
def test_a_merchant_can_change_nothing_else_of_an_event(api: Api, column: str) -> None:
    customer(api)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_atomic(api.tenants.scope),
    ):
        fetch_all(f"UPDATE core_outboxevent SET {column} = NULL RETURNING 1")


def test_a_merchant_reaches_no_other_merchants_event(api: Api) -> None:
    other = new_api()
    theirs = customer(other)
    with tenant_atomic(api.tenants.scope):
        writes = Writes()
        writes.forget(
            object_id=theirs,
            resource_id=decode("cus", theirs),
            payload={},
            merchant_id=other.tenants.merchant.id,
        )
        writes.flush()
    assert events_of(other, theirs)[0]["data"]["email"] == "ada@example.com"
