"""Leases and turns end with their process, and with nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from core import liveness
from tests.core.support import DIES_WITHIN_S, ROOT, eventually

_CHILD = """
import django; django.setup()
import sys, time
from core import liveness
turn = liveness.take_turn(sys.argv[1])
print(liveness.holder(), turn is not None, flush=True)
time.sleep(120)
"""


@pytest.fixture(autouse=True)
def _with_database(database: str) -> None:
    """Each test asks the database who is alive."""


@contextmanager
def child(turn: str) -> Iterator[tuple[subprocess.Popen[str], int, bool]]:
    """A process that holds a lease and, if it got it, a turn."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, turn],
        cwd=ROOT,
        env=os.environ.copy(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            holder, got_turn = process.stdout.readline().split()
            yield process, int(holder), got_turn == "True"
        finally:
            process.kill()


def test_a_lease_and_a_turn_end_with_a_killed_process() -> None:
    with child("one-at-a-time") as (process, holder, got_turn):
        assert got_turn
        assert not liveness.died(holder)
        assert liveness.take_turn("one-at-a-time") is None
        process.send_signal(signal.SIGKILL)
        eventually(lambda: liveness.died(holder), timeout_s=DIES_WITHIN_S)
        turn = eventually(lambda: liveness.take_turn("one-at-a-time"), timeout_s=DIES_WITHIN_S)
    turn.give_back()


def test_a_lease_holds_no_snapshot(admin_dsn: str) -> None:
    """An old snapshot keeps dead row versions of every table, and each payment reads them."""
    turn = liveness.take_turn("without-snapshot")
    assert turn is not None
    conn = liveness._process()._conn
    assert conn is not None
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        of_the_lease = "SELECT state, backend_xmin FROM pg_stat_activity WHERE pid = %s"
        held = admin.execute(of_the_lease, [conn.info.backend_pid]).fetchone()
        turn.give_back()
        given_back = admin.execute(of_the_lease, [conn.info.backend_pid]).fetchone()
    assert [held, given_back] == [("idle in transaction", None)] * 2


def test_nobody_is_no_dead_process() -> None:
    assert liveness.died(None) is False
    assert liveness.died(liveness.holder()) is False
    assert liveness.died(liveness._new_id()) is True


def test_a_share_is_given_away_and_taken_back() -> None:
    first, second = (liveness.take_turn("a-share", share=2) for _ in range(2))
    assert first is not None
    assert second is not None
    assert liveness.take_turn("a-share", share=2) is None
    second.give_back()
    second.give_back()
    third = liveness.take_turn("a-share", share=2)
    assert third is not None
    for turn in (first, third):
        turn.give_back()


def test_what_is_given_up_is_dead_and_turns_stay() -> None:
    before = liveness.holder()
    with child("another") as (_, holder, _got_turn):
        turn = liveness.take_turn("kept")
        liveness.renew()
        assert liveness.died(before)
        assert not liveness.died(liveness.holder())
        assert not liveness.died(holder)
        assert turn is not None
        with child("kept") as (_, _holder, got_turn):
            assert not got_turn
        turn.give_back()


def test_a_cut_lease_connection_is_replaced_under_a_new_id(admin_dsn: str) -> None:
    before = liveness.holder()
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'merchantry-lease'"
        )
    assert liveness.died(before)
    eventually(lambda: not liveness.died(liveness.holder()), timeout_s=DIES_WITHIN_S)


def test_the_watch_outlives_an_error_that_nobody_thought_of(
    admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = liveness.holder()
    address, failed = liveness._address, threading.Event()

    def fails_once() -> dict[str, Any]:
        if failed.is_set():
            return address()
        failed.set()
        raise ValueError("planned")

    monkeypatch.setattr(liveness, "_address", fails_once)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'merchantry-lease'"
        )
    assert failed.wait(DIES_WITHIN_S)
    assert liveness.died(before)
    eventually(lambda: not liveness.died(liveness.holder()), timeout_s=DIES_WITHIN_S)


def test_a_forked_child_has_a_lease_of_its_own_and_leaves_its_parents_alone() -> None:
    mine = liveness.holder()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, str(liveness.holder()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = int(pipe.read())
    os.waitpid(pid, 0)
    assert theirs != mine
    eventually(lambda: liveness.died(theirs), timeout_s=DIES_WITHIN_S)
    assert not liveness.died(mine)
