"""Leases that end with the process that holds them.

A fixed lease is either too short for slow work or too long after a crash. Here each process holds
one PostgreSQL connection beside its others, and on it an advisory lock under a random number, its
*holder id*. What a process works on carries that id (`holder` columns); a process that finds it
asks PostgreSQL whether the lock is held (`core_holder_died`). The server releases it as soon as
the connection ends: a killed process within milliseconds, a lost machine within TCP's keep-alive of
about ten seconds. Nothing is renewed and no row is written for it.

The lock belongs to a transaction that stays open, so that it also works through PgBouncer in
transaction mode. That transaction must hold no snapshot: an old one keeps every dead row version of
the whole server, and each payment would read more of them than the one before. Hence the simple
query protocol (`ClientCursor`): the extended one leaves the last statement's portal open until the
next statement, and its snapshot with it.

When the connection is lost, the process goes on under a new id, and all that it held under the old
one counts as abandoned. Another process may then take up work that is still being done, so such
work must be safe to do twice; leases save time, and guards on the rows (version, state,
idempotency key) decide.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import select
import threading
from typing import Any, Final

import psycopg
import structlog
from django.db import connection, models

from core import deadline
from core.db import Scope, fetch_one, tenant_atomic
from core.postgres.base import BoundedConnection, resolved

log = structlog.get_logger(__name__)

_CONNECT_TIMEOUT_S: Final = 3
#: A server that is stopped answers nothing; its callers go on without it after so long.
_ANSWER_S: Final = 2.0
_RETRY_MIN_S: Final = 0.1
_RETRY_MAX_S: Final = 2.0
#: Our side finds out that the server's machine is gone within about ten seconds too.
_KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
#: The server ends no idle transaction of this connection, and looks whether its client is there.
_TAKE: Final = """
SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '4'
                                  WHEN 'tcp_keepalives_interval' THEN '2'
                                  WHEN 'tcp_keepalives_count' THEN '3' ELSE '0' END, true)
  FROM pg_catalog.pg_settings
 WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout',
                'idle_session_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval',
                'tcp_keepalives_count')
"""


class HolderDied(models.Func):
    """Whether the process behind a `holder` column is gone; false where the column is empty."""

    function = "core_holder_died"
    output_field = models.BooleanField()


def holder() -> int:
    """The id under which this process holds leases now; costs no round trip after the first."""
    return _process().id


def renew() -> None:
    """Abandon everything that this process holds, and go on under a new id.

    For a process that lost its work half-way and lives on (a relay whose database went away).
    """
    _process().renew()


def died(holder_id: int | None) -> bool:
    """Whether the process with this holder id is gone; False for no holder."""
    with tenant_atomic(Scope.intake()):
        row = fetch_one("SELECT core_holder_died(%s)", [holder_id])
    return bool(row and row[0])


def stop() -> None:
    """End the lease connection, and with it all that this process holds; for a process's end."""
    global _current
    with _guard:
        if _current is not None:
            _current.stop()
            _current = None


class Turn:
    """One of the places that `take_turn` gave away, until `give_back` or the process's end."""

    def __init__(self, process: _Process, key: int) -> None:
        self._process, self._key = process, key

    def give_back(self) -> None:
        """Let the next one in; a second call changes nothing."""
        self._process.unlock(self._key)

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()


def take_turn(name: str, *, share: int = 1) -> Turn | None:
    """One of `share` places under this name among all processes; None when all are taken.

    While the lease connection is away the limit holds within this process alone.
    """
    process = _process()
    for place in range(share):
        key = _key_of(f"{name}/{place}")
        if process.try_lock(key):
            return Turn(process, key)
    return None


def _key_of(name: str) -> int:
    """A key for an advisory lock; the top bit keeps names apart from holder ids."""
    digest = hashlib.sha256(name.encode()).digest()
    return -(int.from_bytes(digest[:8], "big") >> 2) - 1


class _Process:
    """The lease connection of one process, and the thread that notices its loss."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.id = _new_id()
        self._lock = threading.RLock()
        self._conn: psycopg.Connection[Any] | None = None
        self._turns: set[int] = set()
        self._stopped = threading.Event()
        self._connect()
        try:
            threading.Thread(target=self._watch, name="liveness", daemon=True).start()
        except RuntimeError:
            self.stop()
            raise

    def renew(self) -> None:
        with self._lock:
            if self._conn is None:
                self.id = _new_id()
                return
            try:
                with deadline.within(_ANSWER_S):
                    self._conn.rollback()
                    self._hold(self._conn)
            except psycopg.Error as error:
                self._lost(error)

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def try_lock(self, key: int) -> bool:
        with self._lock:
            # A session may take its own advisory lock again, so this process asks itself first.
            if key in self._turns:
                return False
            if self._conn is not None:
                try:
                    with deadline.within(_ANSWER_S):
                        asked = self._conn.execute("SELECT pg_try_advisory_lock(%s)", [key])
                        row = asked.fetchone()
                except psycopg.Error as error:
                    self._lost(error)
                else:
                    if row is None or not row[0]:
                        return False
            self._turns.add(key)
            return True

    def unlock(self, key: int) -> None:
        with self._lock:
            if key not in self._turns:
                return
            self._turns.discard(key)
            if self._conn is not None:
                try:
                    with deadline.within(_ANSWER_S):
                        self._conn.execute("SELECT pg_advisory_unlock(%s)", [key])
                except psycopg.Error as error:
                    self._lost(error)

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the server."""
        if self._conn is not None:
            _inherited.append(self._conn)
            with contextlib.suppress(OSError, psycopg.Error):
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, self._conn.fileno())
                os.close(null)

    def _connect(self) -> bool:
        with self._lock:
            if self._stopped.is_set():
                return False
            try:
                with deadline.within(_ANSWER_S):
                    conn = BoundedConnection.connect(
                        **resolved(_address(), limit_s=deadline.cap_s(_CONNECT_TIMEOUT_S))
                    )
                    self._hold(conn)
            except psycopg.Error as error:
                log.warning("liveness.not_connected", error_type=type(error).__name__)
                return False
            self._conn = conn
            return True

    def _hold(self, conn: psycopg.Connection[Any]) -> None:
        # A new id each time: what was held under the old one has been free for a moment already.
        self.id = _new_id()
        conn.execute(_TAKE)
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [self.id])

    def _lost(self, error: Exception) -> None:
        log.warning("liveness.lost", error_type=type(error).__name__)
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _watch(self) -> None:
        pause_s = _RETRY_MIN_S
        while not self._stopped.is_set():
            try:
                conn = self._conn
                if conn is not None:
                    self._wait_for_end(conn)
                    continue
                if self._connect():
                    pause_s = _RETRY_MIN_S
                    continue
            except Exception:
                # Without this thread a lost lease would stay lost for as long as the process runs.
                log.exception("liveness.watch_failed")
            self._stopped.wait(pause_s)
            pause_s = min(pause_s * 2, _RETRY_MAX_S)

    def _wait_for_end(self, conn: psycopg.Connection[Any]) -> None:
        poll = select.poll()
        try:
            poll.register(conn.fileno(), select.POLLIN)
        except (psycopg.Error, ValueError, OSError):
            return
        poll.poll(5_000)
        with self._lock:
            if self._conn is not conn:
                return
            try:
                conn.pgconn.consume_input()
            except psycopg.Error as error:
                self._lost(error)


_guard = threading.Lock()
_current: _Process | None = None
#: Connections of the parent: closing one in a child would end the parent's session.
_inherited: list[psycopg.Connection[Any]] = []


def _process() -> _Process:
    global _current
    if _current is not None:
        return _current
    with _guard:
        if _current is None:
            _current = _Process()
        return _current


def _after_fork() -> None:
    global _current, _guard
    _guard = threading.Lock()
    if _current is not None:
        _current.leave_to_parent()
        _current = None


os.register_at_fork(after_in_child=_after_fork)


def _new_id() -> int:
    """A random positive bigint, far above the small numbers of the code's own advisory locks."""
    return secrets.randbits(62) | 1 << 61


def _address() -> dict[str, Any]:
    params = dict(connection.get_connection_params())
    for own in ("context", "cursor_factory"):
        params.pop(own, None)
    return {
        **params,
        **_KEEPALIVE,
        "application_name": "merchantry-lease",
        "cursor_factory": psycopg.ClientCursor,
        "connect_timeout": _CONNECT_TIMEOUT_S,
    }
