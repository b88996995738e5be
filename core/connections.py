"""A database connection that was lost: telling it from other errors, and getting a new one."""

from __future__ import annotations

import time
from typing import Final

import psycopg
from django.db import InterfaceError, OperationalError, connection, connections

#: How long a request waits for a database that restarts before it gives up.
AWAY_MAX_S: Final = 8.0
_PAUSE_S: Final = 0.2
#: admin_shutdown, crash_shutdown, cannot_connect_now
_SHUTDOWN: Final = frozenset({"57P01", "57P02", "57P03"})


def is_lost(error: BaseException) -> bool:
    """Whether `error` came because the connection is gone.

    A deadlock or a time-out is an OperationalError too, but one of its statement alone. Django may
    have opened a new connection by now, so the error itself is asked first.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        # Without a state the error is the client's own: the server has said nothing any more.
        state = cause.sqlstate or "08"
        if state.startswith("08") or state in _SHUTDOWN:
            return True
    return connection.connection is None or not connection.is_usable()


def drop() -> None:
    """Close this thread's connections, broken or not; the next statement opens new ones."""
    for alias in connections:
        try:
            connections[alias].close()
        except (OperationalError, InterfaceError):
            connections[alias].connection = None


def regain(error: Exception, *, ends_at: float) -> None:
    """Open a new connection in place of a lost one, waiting until `ends_at` (monotonic clock).

    Raises:
        error: it is not about the connection, or the database stays away.
    """
    if connection.in_atomic_block or not is_lost(error):
        raise error
    while True:
        drop()
        try:
            connection.ensure_connection()
        except (OperationalError, InterfaceError):
            if time.monotonic() + _PAUSE_S > ends_at:
                raise error from None
            time.sleep(_PAUSE_S)
        else:
            return
