"""What a dead process leaves behind is taken up at once: by the retry of its caller, or the poller.

No test here moves the clock: a killed process ends its leases itself.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from core import connections, ids, liveness
from core.db import Scope, tenant_atomic
from core.deadline import DeadlineExceeded
from core.models import IdempotencyRecord
from payments.intents.channels import ChannelAnswer
from payments.intents.channels.gateway import GatewayPayment
from payments.intents.models import Intent
from payments.intents.services.recovery import due_intents
from payments.intents.states import IntentState
from payments.intents.tasks import check
from tests.api import Api, new_api
from tests.core.support import DIES_WITHIN_S, eventually
from tests.payments.support import books, charges, crash


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def retried(api: Api, path: str, body: dict[str, Any], key: str = "once") -> Any:
    """The answer to the same request under the same key, asked for until it is no 409 in flight."""

    def answer() -> Any:
        response = api.post(path, body, key=key)
        if response.status_code != 409:
            return response
        assert response.json()["error"]["code"] == "idempotency_key_in_flight", response.content
        return None

    return eventually(answer, timeout_s=DIES_WITHIN_S)


def charge_of(api: Api) -> dict[str, Any]:
    return {
        "amount": 10_000,
        "currency": "EUR",
        "confirm": True,
        "payment_method_token": api.token(),
    }


@pytest.mark.parametrize("at", ["intent.reserved", "intent.authorize.answered", "intent.committed"])
def test_a_retry_takes_up_the_payment_of_a_killed_process(
    api: Api, admin_dsn: str, at: str
) -> None:
    merchant_id, body = api.tenants.merchant.id, charge_of(api)
    crash(api, at, "POST", "/v1/payments", json.dumps(body), "once")

    first = retried(api, "/v1/payments", body)
    again = retried(api, "/v1/payments", body)

    assert (first.status_code, first.json()["data"]["status"]) == (201, "completed")
    assert first.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.json()["data"]["id"]) == (201, first.json()["data"]["id"])
    assert charges(admin_dsn, merchant_id) == [(10_000, 0)]
    found = books(admin_dsn, merchant_id)
    assert found["provider_clearing"] == -10_000
    assert (found["pending"], found["sum"]) == (0, 0)
    assert len(api.get("/v1/payments").json()["data"]["items"]) == 1


@pytest.mark.parametrize("at", ["intent.settle.begun", "intent.settle.answered"])
def test_a_retry_takes_up_the_capture_of_a_killed_process(
    api: Api, admin_dsn: str, at: str
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    path = f"/v1/payments/{made['id']}/capture"
    crash(api, at, "POST", path, '{"amount": 600}', "once")

    answer = retried(api, path, {"amount": 600})

    assert (answer.status_code, answer.json()["data"]["amount_captured"]) == (200, 600)
    assert charges(admin_dsn, api.tenants.merchant.id) == [(600, 0)]
    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-600, 0, 0)


@pytest.mark.parametrize("at", ["intent.reserved", "intent.authorize.answered"])
def test_a_retry_takes_up_the_refund_of_a_killed_process(api: Api, admin_dsn: str, at: str) -> None:
    payment = api.pay(amount=1_000).json()["data"]
    body = {"payment": payment["id"], "amount": 400}
    crash(api, at, "POST", "/v1/refunds", json.dumps(body), "once")

    answer = retried(api, "/v1/refunds", body)

    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "completed")
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 400)]
    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-600, 0, 0)


def test_what_the_channel_cannot_say_yet_is_answered_as_it_stands(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant_id, body = api.tenants.merchant.id, charge_of(api)
    crash(api, "intent.reserved", "POST", "/v1/payments", json.dumps(body), "once")
    with monkeypatch.context() as provider:
        provider.setattr(GatewayPayment, "query", _unknown)
        answer = retried(api, "/v1/payments", body)

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "processing")
    assert charges(admin_dsn, merchant_id) == []


@pytest.mark.usefixtures("own_database")
def test_the_poller_takes_up_what_a_killed_process_began(api: Api, admin_dsn: str) -> None:
    merchant_id = api.tenants.merchant.id
    crash(api, "intent.reserved", "POST", "/v1/payments", json.dumps(charge_of(api)), "once")
    with tenant_atomic(Scope.merchant(merchant_id)):
        intent = Intent.objects.get()

    eventually(lambda: due_intents() == [intent.id], timeout_s=DIES_WITHIN_S)
    check(str(intent.id))

    with tenant_atomic(Scope.merchant(merchant_id)):
        assert Intent.objects.get().state == IntentState.SETTLED
    assert charges(admin_dsn, merchant_id) == [(10_000, 0)]


@pytest.mark.usefixtures("own_database")
def test_nobody_takes_up_what_a_living_process_is_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = charge_of(api)
    seen: list[Any] = []
    authorize = GatewayPayment.authorize

    def while_asking(self: GatewayPayment, intent: Intent) -> ChannelAnswer:
        seen.append(intent.id in due_intents())
        with monkeypatch.context() as provider:
            provider.setattr(GatewayPayment, "authorize", authorize)
            seen.append(api.post("/v1/payments", body, key="once").status_code)
        return authorize(self, intent)

    monkeypatch.setattr(GatewayPayment, "authorize", while_asking)
    answer = api.post("/v1/payments", body, key="once")

    assert seen == [False, 409]
    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "completed")


def test_of_two_retries_one_takes_the_claim_over(api: Api) -> None:
    body = charge_of(api)
    crash(api, "intent.reserved", "POST", "/v1/payments", json.dumps(body), "once")
    with tenant_atomic(Scope.worker()):
        [record] = IdempotencyRecord.objects.filter(merchant_id=api.tenants.merchant.id)
    eventually(lambda: liveness.died(record.holder), timeout_s=DIES_WITHIN_S)

    from core.idempotency import _taken_over

    with tenant_atomic(Scope.worker()):
        [same] = IdempotencyRecord.objects.filter(id=record.id)
    assert [_taken_over(row, api.tenants.scope) for row in (record, same)] == [True, False]


def test_a_request_whose_time_is_over_is_accepted_and_its_key_is_free(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object) -> ChannelAnswer:
        raise DeadlineExceeded("This took too long.")

    body = charge_of(api)
    with monkeypatch.context() as outage:
        outage.setattr(GatewayPayment, "authorize", too_late)
        answer = api.post("/v1/payments", body, key="once")
    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "processing")

    again = api.post("/v1/payments", body, key="once")
    assert (again.status_code, again.json()["data"]["status"]) == (201, "completed")
    assert charges(admin_dsn, api.tenants.merchant.id) == [(10_000, 0)]


def test_a_defect_of_ours_holds_no_key(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> ChannelAnswer:
        raise RuntimeError("a defect")

    body = charge_of(api)
    with monkeypatch.context() as defect:
        defect.setattr(GatewayPayment, "authorize", broken)
        assert api.post("/v1/payments", body, key="once").status_code == 500

    again = api.post("/v1/payments", body, key="once")
    assert (again.status_code, again.json()["data"]["status"]) == (201, "completed")
    assert charges(admin_dsn, api.tenants.merchant.id) == [(10_000, 0)]


def test_a_lost_backend_costs_a_payment_nothing(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorize = GatewayPayment.authorize

    def then_cut(self: GatewayPayment, intent: Intent) -> ChannelAnswer:
        answer = authorize(self, intent)
        cut_own_backend(admin_dsn)
        return answer

    monkeypatch.setattr(GatewayPayment, "authorize", then_cut)
    answer = api.post("/v1/payments", charge_of(api), key="once")

    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "completed")
    assert charges(admin_dsn, api.tenants.merchant.id) == [(10_000, 0)]
    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["provider_clearing"], found["pending"]) == (-10_000, 0)


@pytest.mark.parametrize(("away", "status"), [(1, 202), (2, 503)])
def test_a_database_that_stays_away_ends_the_request_and_not_the_payment(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch, away: int, status: int
) -> None:
    """`away` is how many looks for the database find none: the saga's, and the answer's too."""
    authorize, regain = GatewayPayment.authorize, connections.regain
    looks: list[Exception] = []

    def then_cut(self: GatewayPayment, intent: Intent) -> ChannelAnswer:
        answer = authorize(self, intent)
        cut_own_backend(admin_dsn)
        return answer

    def still_away(error: Exception, *, ends_at: float) -> None:
        looks.append(error)
        if len(looks) <= away:
            raise error
        regain(error, ends_at=ends_at)

    body = charge_of(api)
    with monkeypatch.context() as outage:
        outage.setattr(GatewayPayment, "authorize", then_cut)
        outage.setattr(connections, "regain", still_away)
        answer = api.post("/v1/payments", body, key="once")
    connections.drop()

    assert answer.status_code == status, answer.content
    if status == 202:
        assert answer.json()["data"]["status"] == "processing"
    else:
        assert answer.headers["Retry-After"]
        assert "same Idempotency-Key" in answer.json()["error"]["message"]
        # The claim could not be let go of: it ends with its process, which goes on under a new id.
        liveness.renew()
    assert all(isinstance(error, OperationalError) for error in looks)
    again = retried(api, "/v1/payments", body)
    assert (again.status_code, again.json()["data"]["status"]) == (201, "completed")
    assert charges(admin_dsn, api.tenants.merchant.id) == [(10_000, 0)]


def cut_own_backend(admin_dsn: str) -> None:
    """End the server's process behind this thread's connection, and wait until it is gone."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def _unknown(*_: object) -> ChannelAnswer:
    from payments.intents.channels import Outcome

    return ChannelAnswer(outcome=Outcome.UNKNOWN)


@pytest.mark.usefixtures("own_database")
def test_a_merchant_with_many_due_attempts_delays_no_other(admin_dsn: str) -> None:
    greedy, other = new_api(), new_api()
    for _ in range(12):
        greedy.pay("4000000000005043")
    made = other.pay("4000000000005043").json()["data"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # The greedy merchant's have waited longest.
        admin.execute("UPDATE intents_intent SET next_check_at = now() - interval '1 hour'")
        admin.execute(
            "UPDATE intents_intent SET next_check_at = now() - interval '1 second'"
            " WHERE merchant_id = %s",
            [other.tenants.merchant.id],
        )
    with tenant_atomic(Scope.merchant(other.tenants.merchant.id)):
        [intent] = Intent.objects.all()
    assert ids.encode("pay", intent.document_id or uuid.UUID(int=0)) == made["id"]

    first = due_intents(limit=4)

    assert intent.id in first[:2]
    assert len(first) == 4
    assert len(due_intents(limit=100)) == 9


def test_while_one_worker_asks_for_a_merchant_another_looks_later(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.pay("4000000000005043")
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        [intent] = Intent.objects.all()
    asked: list[Intent] = []
    monkeypatch.setattr(GatewayPayment, "query", lambda _, intent: asked.append(intent))

    busy = liveness.take_turn(f"intents.check/{api.tenants.merchant.id}")
    assert busy is not None
    with busy:
        check(str(intent.id))

    assert asked == []
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        [later] = Intent.objects.all()
    assert later.next_check_at is not None
    assert intent.next_check_at is not None
    assert later.next_check_at < intent.next_check_at
