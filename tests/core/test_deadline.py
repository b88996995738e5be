"""Deadlines, and that the database's waits end with them."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import RequestFactory

from config.celery import app
from core import deadline
from core.db import Scope, fetch_one, tenant_atomic
from core.deadline import DeadlineExceeded
from core.middleware import DeadlineMiddleware
from core.tasks import sweep_inbox

#: A limit that only ends what hangs.
HANGS_S = 20.0


def test_without_one_a_limit_is_what_it_is() -> None:
    assert deadline.remaining_s() is None
    assert deadline.cap_s(7.5) == 7.5


def test_a_nested_one_can_only_shorten() -> None:
    with deadline.within(100):
        with deadline.within(1000):
            assert 99 < deadline.cap_s(5000) <= 100
        with deadline.within(10):
            assert 9 < deadline.cap_s(5000) <= 10
        assert 99 < deadline.cap_s(5000) <= 100
    assert deadline.remaining_s() is None


def test_nothing_is_begun_when_nothing_is_left() -> None:
    with deadline.within(0), pytest.raises(DeadlineExceeded) as refused:
        deadline.cap_s(1)
    assert (refused.value.status, refused.value.code) == (503, "deadline_exceeded")


def test_what_must_be_finished_has_its_own_time() -> None:
    with deadline.within(0):
        with deadline.at_least(50):
            assert 49 < deadline.cap_s(100) <= 50
        with pytest.raises(DeadlineExceeded):
            deadline.check()
    with deadline.within(100), deadline.at_least(50):
        assert 99 < deadline.cap_s(1000) <= 100
    with deadline.at_least(50):
        assert deadline.remaining_s() is None


def test_no_transaction_is_opened_when_nothing_is_left(database: str) -> None:
    with deadline.within(0), pytest.raises(DeadlineExceeded), tenant_atomic(Scope.worker()):
        raise AssertionError("must not be run")
    assert not connection.in_atomic_block


def _statement_timeout() -> str:
    with tenant_atomic(Scope.worker()):
        row = fetch_one("SHOW statement_timeout")
    assert row is not None
    return str(row[0])


def test_a_transaction_of_a_request_has_what_is_left(database: str) -> None:
    assert _statement_timeout() == "0"
    with deadline.within(100):
        found = _statement_timeout()
    # PostgreSQL shows whole seconds as such.
    left_ms = int(found.removesuffix("ms").removesuffix("s")) * (1 if "ms" in found else 1000)
    assert 50_000 < left_ms <= 100_000
    assert _statement_timeout() == "0"


def test_a_statement_ends_with_the_deadline(database: str) -> None:
    began = time.monotonic()
    with (
        pytest.raises(OperationalError) as ended,
        deadline.within(0.3),
        tenant_atomic(Scope.worker()),
    ):
        fetch_one("SELECT pg_sleep(60)")
    assert getattr(ended.value.__cause__, "sqlstate", "") == "57014"
    assert time.monotonic() - began < HANGS_S


def test_a_lock_is_waited_for_no_longer(database: str, admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn) as other:
        other.execute("LOCK TABLE core_attemptthrottle")
        began = time.monotonic()
        with (
            pytest.raises(OperationalError),
            deadline.within(0.3),
            tenant_atomic(Scope.worker()),
        ):
            fetch_one("SELECT count(*) FROM core_attemptthrottle")
        assert time.monotonic() - began < HANGS_S


def test_a_server_that_says_nothing_is_not_waited_for(database: str) -> None:
    """As a stopped backend: no time-out of its own ends the statement."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    began = time.monotonic()
    with deadline.within(0.2), pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - began < HANGS_S
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_request_carries_one(settings) -> None:
    settings.REQUEST_DEADLINE_S = 30
    seen: list[float | None] = []

    def view(_request: object) -> HttpResponse:
        seen.append(deadline.remaining_s())
        return HttpResponse()

    ask = DeadlineMiddleware(view)
    ask(RequestFactory().get("/"))
    with deadline.within(5):
        ask(RequestFactory().get("/"))
    first, second = seen
    assert first is not None
    assert 29 < first <= 30
    assert second is not None
    assert 4 < second <= 5


def test_a_task_carries_its_soft_limit(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    seen: list[float | None] = []

    def sweep() -> list[object]:
        seen.append(deadline.remaining_s())
        return []

    monkeypatch.setattr("core.inbox.sweep", sweep)
    # Whichever application of Celery another test has made the current one.
    task = app.tasks[sweep_inbox.name]
    task.apply()
    monkeypatch.setattr(task, "soft_time_limit", 20)
    task.apply()
    usual, own = seen
    assert usual is not None
    assert 239 < usual <= 240
    assert own is not None
    assert 19 < own <= 20
    assert deadline.remaining_s() is None
