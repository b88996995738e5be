"""Relays as processes of their own: killed, stopped, cut off from their database."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from tests.core.support import (
    DIES_WITHIN_S,
    drain,
    emit,
    event_row,
    eventually,
    lines,
    start_child,
    subscribed,
    worker_sql,
)
from tests.factories import Tenants, make_tenants

T = TypeVar("T")


#: A relay takes the oldest events, whoever's they are.
pytestmark = pytest.mark.usefixtures("own_database")


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(users=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


def drained(seen: list[T]) -> list[T]:
    """What was seen, once all that can be leased now is delivered."""
    drain()
    return seen


def test_an_event_survives_a_relay_that_is_killed_while_handling_it(
    tenants: Tenants, log: Path
) -> None:
    child = start_child(log, "stall")
    try:
        event = emit(tenants, "test.child", aggregate="obj_killed")
        eventually(lambda: len(lines(log)) == 2)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    seen: list[str] = []

    with subscribed("test.child", lambda e: seen.append(e.aggregate)):
        eventually(lambda: drained(seen), timeout_s=DIES_WITHIN_S)

    assert seen == ["obj_killed"]
    assert event_row(event).attempts == 2


def test_a_batch_of_a_killed_relay_is_delivered_soon_whole_and_in_order(
    tenants: Tenants, log: Path
) -> None:
    aggregates = ("obj_p", "obj_q")
    for number in range(5):
        for aggregate in aggregates:
            emit(tenants, f"test.child.{number}", aggregate=aggregate)
    child = start_child(log, "stall-third")
    try:
        eventually(lambda: len(lines(log)) == 4)  # ready, and three events of the batch
        emit(tenants, "test.child.5", aggregate="obj_p")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    seen: list[tuple[str, str]] = []

    with subscribed("test.child.*", lambda e: seen.append((e.aggregate, e.type))):
        eventually(lambda: len(drained(seen)) >= 11, timeout_s=DIES_WITHIN_S)

    numbers = {"obj_p": range(6), "obj_q": range(5)}
    for aggregate, expected in numbers.items():
        delivered = [kind for name, kind in seen if name == aggregate]
        assert delivered == [f"test.child.{number}" for number in expected]


def test_the_lease_of_a_living_relay_holds(tenants: Tenants, log: Path) -> None:
    child = start_child(log, "stall")
    try:
        event = emit(tenants, "test.child", aggregate="obj_held")
        emit(tenants, "test.child", aggregate="obj_held")
        eventually(lambda: len(lines(log)) == 2)
        seen: list[str] = []
        with subscribed("test.child", lambda e: seen.append(e.aggregate)):
            drain()
        assert seen == []
        assert event_row(event).attempts == 1
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def test_a_relay_that_lost_its_database_takes_up_its_own_batch_again(
    tenants: Tenants, log: Path, admin_dsn: str
) -> None:
    """Its lease connection may be well: the batch is given up with the connection it was for."""
    child = start_child(log, "cut-first")
    try:
        event = emit(tenants, "test.child", aggregate="obj_cut")
        eventually(lambda: event_row(event).delivered_at, timeout_s=DIES_WITHIN_S)
        assert event_row(event).attempts == 2
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def test_sigterm_finishes_the_batch_and_leaves_nothing_leased(tenants: Tenants, log: Path) -> None:
    child = start_child(log)
    event = emit(tenants, "test.child", aggregate="obj_term")
    eventually(lambda: len(lines(log)) == 2)
    child.send_signal(signal.SIGTERM)

    assert child.wait(timeout=60) == 0
    row = event_row(event)
    assert row.delivered_at is not None
    assert row.leased_until is None


def test_goes_on_after_its_database_connections_are_cut(
    tenants: Tenants, log: Path, admin_dsn: str
) -> None:
    child = start_child(log)
    try:
        emit(tenants, "test.child", aggregate="obj_before_cut")
        eventually(lambda: any("obj_before_cut" in line for line in lines(log)))
        mine = worker_sql("SELECT pg_backend_pid()", [])[0][0]
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            cut = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = 'merchantry_app' AND pid <> %s",
                [mine],
            ).fetchone()
        assert cut is not None
        assert cut[0] >= 1
        emit(tenants, "test.child", aggregate="obj_after_cut")
        eventually(lambda: any("obj_after_cut" in line for line in lines(log)))
        assert child.poll() is None
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
