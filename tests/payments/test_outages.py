"""PostgreSQL's connections cut and Valkey flushed in the middle: work is delayed, none is lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import OperationalError, connection

from core import ids
from core.db import tenant_atomic
from core.models import IdempotencyRecord
from tests.api import Api, new_api
from tests.payments.support import books, charges, recover


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def test_payments_survive_cut_database_connections(api: Api, admin_dsn: str, database: str) -> None:
    """Every connection is cut once in each payment, at another moment of it every time."""
    tokens = [api.token() for _ in range(25)]
    began = time.monotonic()
    assert api.pay(amount=100).status_code == 201
    takes_s = time.monotonic() - began

    seen: list[int] = []
    made, cuts = [], 0
    with (
        psycopg.connect(admin_dsn, autocommit=True) as admin,
        ThreadPoolExecutor(1) as cutter,
    ):
        for n, token in enumerate(tokens):
            cut = cutter.submit(_cut, admin, database, after_s=takes_s * n / len(tokens))
            made.append(_pay_until_done(api, token, f"key-{n}", seen))
            cuts += cut.result() > 0

    paid = len(tokens) + 1
    assert len(set(made)) == len(tokens)
    # One that comes while a connection is being replaced finds none.
    assert cuts >= len(tokens) // 2
    # Before the first commit the caller is told to come again; after it the payment goes on.
    assert seen.count(503) > 0
    merchant_id = api.tenants.merchant.id
    _settle(api, admin_dsn)
    assert charges(admin_dsn, merchant_id) == [(100, 0)] * paid
    found = books(admin_dsn, merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-100 * paid, 0, 0)


def _cut(admin: psycopg.Connection, database: str, *, after_s: float) -> int:
    """Cut every connection; return how many there were."""
    time.sleep(after_s)
    row = admin.execute(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where usename = 'merchantry_app' and datname = %s",
        [database],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _pay_until_done(api: Api, token: str, key: str, seen: list[int]) -> str:
    """As an integrator should: the same key again until there is an answer."""
    body = {"amount": 100, "currency": "EUR", "payment_method_token": token, "confirm": True}
    for _ in range(200):
        answer = api.post("/v1/payments", body, key=key)
        seen.append(answer.status_code)
        if answer.status_code == 201:
            return str(answer.json()["data"]["id"])
        if answer.status_code == 409:
            # The first request died with its claim in flight; it would be let go in a minute.
            made = _made_under(api, key)
            if made:
                return made
        else:
            assert answer.status_code == 503, answer.content
            assert answer.headers["Retry-After"]
            # A server does this when the next request begins; the test client does not.
            connection.close()
        time.sleep(0.02)
    raise AssertionError("the payment never came through")


def _made_under(api: Api, key: str) -> str:
    try:
        with tenant_atomic(api.tenants.scope):
            record = IdempotencyRecord.objects.get(key=key)
    except OperationalError:
        connection.close()
        return ""
    assert record.resource_id is not None
    return ids.encode("pay", record.resource_id)


def _settle(api: Api, admin_dsn: str) -> None:
    connection.close()
    recover(admin_dsn, api.tenants.merchant.id)


def test_a_flushed_valkey_costs_nothing(api: Api, admin_dsn: str) -> None:
    made = []
    for _ in range(3):
        made.append(api.pay(amount=100))
        redis.Redis.from_url(settings.CACHE_URL).flushdb()
        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    assert [answer.status_code for answer in made] == [201] * 3
    assert charges(admin_dsn, api.tenants.merchant.id) == [(100, 0)] * 3
