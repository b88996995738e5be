"""Two and more connections at once: the sum of what succeeds is never more than there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from tests.api import Api, new_api
from tests.payments.support import books, charges


def _capture_or_cancel(api: Api, path: str, number: int) -> Any:
    return Api(api.tenants).post(f"{path}/{('capture', 'cancel')[number]}")


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Run `call` in threads with connections of their own, all let go at the same moment."""
    barrier = Barrier(count)

    def one(number: int) -> Any:
        try:
            barrier.wait(timeout=60)
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_concurrent_refunds_never_exceed_the_capture(api: Api, admin_dsn: str) -> None:
    payment = api.pay(amount=1_000).json()["data"]

    answers = at_once(
        8, lambda _: Api(api.tenants).post("/v1/refunds", {"payment": payment["id"], "amount": 300})
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[201] == 3, [answer.content for answer in answers]
    assert set(statuses) <= {201, 400, 409}
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 900)]
    assert api.get(f"/v1/payments/{payment['id']}").json()["data"]["amount_refunded"] == 900
    assert books(admin_dsn, api.tenants.merchant.id)["provider_clearing"] == -100


def test_concurrent_captures_capture_once(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]

    answers = at_once(
        6, lambda _: Api(api.tenants).post(f"/v1/payments/{made['id']}/capture", {"amount": 700})
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}
    assert charges(admin_dsn, api.tenants.merchant.id) == [(700, 0)]
    assert books(admin_dsn, api.tenants.merchant.id)["provider_clearing"] == -700


def test_capture_against_cancel_has_one_winner(api: Api, admin_dsn: str) -> None:
    for _ in range(4):
        made = api.pay(amount=500, capture_method="manual").json()["data"]
        path = f"/v1/payments/{made['id']}"
        answers = at_once(2, partial(_capture_or_cancel, api, path))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        captured = answers[0].status_code == 200
        read = api.get(f"/v1/payments/{made['id']}").json()["data"]
        assert read["status"] == ("completed" if captured else "canceled")
    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found.get("pending", 0), found.get("sum", 0)) == (0, 0)


def test_confirming_twice_charges_once(api: Api, admin_dsn: str) -> None:
    made = api.post("/v1/payments", {"amount": 900, "currency": "EUR"}).json()["data"]
    tokens = [api.token() for _ in range(5)]

    answers = at_once(
        5,
        lambda number: Api(api.tenants).post(
            f"/v1/payments/{made['id']}/confirm", {"payment_method_token": tokens[number]}
        ),
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 4}
    assert charges(admin_dsn, api.tenants.merchant.id) == [(900, 0)]


def test_fifty_at_once_under_one_key_make_one_payment(api: Api, admin_dsn: str) -> None:
    token = api.token()
    body = {"amount": 900, "currency": "EUR", "payment_method_token": token, "confirm": True}

    answers = at_once(50, lambda _: Api(api.tenants).post("/v1/payments", body, key="fifty"))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[201] >= 1
    assert set(statuses) <= {201, 409}, [a.content for a in answers if a.status_code >= 400][:2]
    made = {answer.json()["data"]["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert charges(admin_dsn, api.tenants.merchant.id) == [(900, 0)]
