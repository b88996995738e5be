"""A request asks its connection whether it lives only where a look does not tell."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest
from django.db import connections

from core.db import Scope, fetch_one, tenant_atomic
from core.postgres.base import DatabaseWrapper
from tests.core.support import eventually

#: The proxy `django.db.connection` does not show what Django keeps about its health.
connection = cast(DatabaseWrapper, connections["default"])


@pytest.fixture
def asked(database: str, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What `is_usable`, the one that sends SELECT 1, has answered."""
    answers: list[bool] = []
    ask = connection.is_usable

    def is_usable() -> bool:
        answers.append(ask())
        return answers[-1]

    monkeypatch.setattr(connection, "is_usable", is_usable)
    # Whatever ran before may have left one that has rested.
    connection.close()
    connection.ensure_connection()
    monkeypatch.setattr(connection, "health_check_enabled", True)
    return answers


def backend_of_a_request() -> int:
    connection.health_check_done = False
    with tenant_atomic(Scope.intake()):
        row: Any = fetch_one("SELECT pg_backend_pid()")
    return int(row[0])


def test_one_that_answered_lately_is_not_asked(asked: list[bool]) -> None:
    assert backend_of_a_request() == backend_of_a_request()
    assert asked == []


def test_one_that_has_rested_is_asked(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    first = backend_of_a_request()
    monkeypatch.setattr(connection.connection, "_heard_at", 0.0)
    assert backend_of_a_request() == first
    assert asked == [True]


def test_one_whose_server_ended_it_is_replaced(asked: list[bool], admin_dsn: str) -> None:
    first = backend_of_a_request()
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
    eventually(lambda: not connection.connection.is_fresh())
    assert backend_of_a_request() != first
    assert asked == [False]
