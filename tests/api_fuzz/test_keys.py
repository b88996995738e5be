"""Idempotency keys: asked for where money moves, and good for one request."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest
from django.db import connections

from core.db import tenant_atomic
from core.models import IdempotencyRecord
from payments.acceptance.models import Payment
from tests.api import Api, new_api
from tests.api_fuzz.support import counts, error_of
from tests.factories import make_tenants


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def test_money_does_not_move_without_a_key(api: Api) -> None:
    payment = api.pay(amount=300).json()["data"]
    before = counts(api)
    for path, body in (
        ("/v1/payments", {"amount": 100, "currency": "EUR"}),
        ("/v1/refunds", {"payment": payment["id"]}),
        (f"/v1/payments/{payment['id']}/capture", {}),
        (f"/v1/payments/{payment['id']}/cancel", {}),
    ):
        answer = api.post(path, body, key=None)
        assert answer.status_code == 400, (path, answer.content)
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("idempotency_key_missing", "Idempotency-Key")
    assert counts(api) == before


@pytest.mark.parametrize("key", ["a" * 256, "clé", "a\tb"])
def test_a_key_is_short_printable_text(api: Api, key: str) -> None:
    before = counts(api)
    answer = api.post("/v1/payments", {"amount": 100, "currency": "EUR"}, key=key)
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "idempotency_key_invalid"
    assert counts(api) == before


def test_the_same_request_replays_and_another_is_refused(api: Api) -> None:
    body = {
        "amount": 1_234,
        "currency": "EUR",
        "payment_method_token": api.token(),
        "confirm": True,
    }
    first = api.post("/v1/payments", body, key="once-only")
    assert first.status_code == 201
    before = counts(api)
    again = api.post("/v1/payments", body, key="once-only")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replayed"] == "true"
    assert not first.has_header("Idempotent-Replayed")
    other = api.post("/v1/payments", {**body, "amount": 1_235}, key="once-only")
    assert other.status_code == 422
    assert error_of(other)["code"] == "idempotency_key_reused"
    elsewhere = api.post("/v1/refunds", {"payment": first.json()["data"]["id"]}, key="once-only")
    assert elsewhere.status_code == 422
    assert counts(api) == before


def test_a_key_belongs_to_its_merchant_and_mode(api: Api) -> None:
    body = {"amount": 100, "currency": "EUR"}
    mine = api.post("/v1/payments", body, key="shared-name").json()["data"]["id"]
    theirs = new_api().post("/v1/payments", body, key="shared-name")
    assert theirs.status_code == 201
    assert theirs.json()["data"]["id"] != mine


def test_a_validation_error_stores_nothing_under_the_key(api: Api) -> None:
    bad = api.post("/v1/payments", {"amount": -1, "currency": "EUR"}, key="try-again")
    assert bad.status_code == 400
    with tenant_atomic(api.tenants.scope):
        assert not IdempotencyRecord.objects.filter(key="try-again").exists()
    good = api.post("/v1/payments", {"amount": 1, "currency": "EUR"}, key="try-again")
    assert good.status_code == 201


def test_fifty_at_once_under_one_key_are_one_payment(database: str) -> None:
    api = Api(make_tenants(users=False))
    body = {
        "amount": 5_000,
        "currency": "EUR",
        "payment_method_token": api.token(),
        "confirm": True,
    }
    answers: list[tuple[int, bytes, bool]] = []
    start = threading.Barrier(50)

    def send() -> None:
        client = Api(api.tenants)
        start.wait()
        try:
            got = client.post("/v1/payments", body, key="fifty-at-once")
            answers.append((got.status_code, got.content, got.has_header("Idempotent-Replayed")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    statuses = Counter(status for status, _, _ in answers)
    assert sum(statuses.values()) == 50
    assert set(statuses) <= {201, 409}, statuses
    assert sum(1 for status, _, replayed in answers if status == 201 and not replayed) == 1
    assert len({body for status, body, _ in answers if status == 201}) == 1
    codes = {json.loads(body)["error"]["code"] for status, body, _ in answers if status == 409}
    assert codes <= {"idempotency_key_in_flight"}
    with tenant_atomic(api.tenants.scope):
        assert [payment.status for payment in Payment.objects.all()] == ["completed"]
    later = api.post("/v1/payments", body, key="fifty-at-once")
    assert (later.status_code, later["Idempotent-Replayed"]) == (201, "true")
