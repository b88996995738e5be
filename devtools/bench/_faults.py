"""What breaks in `./dev bench faults`: each a function that does it and returns when it is over.

What dies is started again by the supervisor (`_stack.restarting`); what is stopped goes on before
the function returns.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator

import psycopg
import redis

from devtools.bench._stack import Platform
from devtools.fleet import EVERY_PROCESS
from devtools.stack import DATABASE

VALKEY_STOPPED_S, POSTGRES_STOPPED_S = 10.0, 5.0
#: The role that web logs in with (core.roles).
_WEB_ROLE = "merchantry_web"
_BACK_WITHIN_S, _ACTIVE_WITHIN_S = 30.0, 5.0


def kill(name: str, running: Platform) -> None:
    """kill -9 of a process with its children; returns when its successor has been started."""
    before = running.pids[name]
    # Each process leads a group of its own, and dies whole, as a container does.
    os.killpg(before, signal.SIGKILL)
    ends = time.monotonic() + _BACK_WITHIN_S
    while running.pids[name] == before:
        if time.monotonic() > ends:
            raise RuntimeError(f"{name} was not started again")
        time.sleep(0.05)


def kill_backend(running: Platform) -> None:
    """kill -9 of a PostgreSQL backend that executes a statement of web's."""
    with _admin(running) as admin:
        ends = time.monotonic() + _ACTIVE_WITHIN_S
        while not (active := [pid for pid, state in _backends(admin) if state == "active"]):
            if time.monotonic() > ends:
                raise RuntimeError("web asked nothing of the database")
        os.kill(active[0], signal.SIGKILL)
    _wait_for_database(running)


def kill_postmaster(running: Platform) -> None:
    """kill -9 of PostgreSQL's first process; its children find out and end by themselves."""
    kill("postgres", running)
    _wait_for_database(running)


def flush_valkey(running: Platform) -> None:
    """FLUSHALL: queues, caches, rate limits and groups are gone."""
    with contextlib.closing(redis.Redis.from_url(running.env["REDIS_URL"])) as client:
        client.flushall()


def stop_valkey(running: Platform) -> None:
    """Valkey keeps its connections and answers nothing for ten seconds."""
    _stopped([running.pids["valkey"]], VALKEY_STOPPED_S)


def stop_backends(running: Platform) -> None:
    """All of web's PostgreSQL backends keep their connections and answer nothing for 5 seconds."""
    with _admin(running) as admin:
        pids = [pid for pid, _ in _backends(admin)]
    _stopped(pids, POSTGRES_STOPPED_S)


def _stopped(pids: list[int], seconds: float) -> None:
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _backends(admin: psycopg.Connection[tuple[int, str]]) -> list[tuple[int, str]]:
    """Process and state of each connection that web has open."""
    return admin.execute(
        "select pid, state from pg_stat_activity where usename = %s", [_WEB_ROLE]
    ).fetchall()


@contextlib.contextmanager
def _admin(running: Platform) -> Iterator[psycopg.Connection[tuple[int, str]]]:
    with psycopg.connect(
        running.admin_url, dbname=DATABASE, autocommit=True, connect_timeout=5
    ) as connection:
        yield connection


def _wait_for_database(running: Platform) -> None:
    ends = time.monotonic() + _BACK_WITHIN_S
    while True:
        try:
            with _admin(running):
                return
        except psycopg.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


#: By fault: how long it may hold up every payment, whatever the platform does. With a stopped
#: backend in each of web's slots, as a rule, nothing is answered until they go on.
AWAY_S = {"stop_backends": POSTGRES_STOPPED_S}

FAULTS: dict[str, Callable[[Platform], None]] = {
    **{f"kill_{name}": functools.partial(kill, name) for name in EVERY_PROCESS},
    "kill_backend": kill_backend,
    "kill_postmaster": kill_postmaster,
    "flush_valkey": flush_valkey,
    "stop_valkey": stop_valkey,
    "stop_backends": stop_backends,
}
