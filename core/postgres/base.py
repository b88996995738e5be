"""The database connection whose every wait ends with the deadline of the work that waits.

A server that is stopped, or behind a cable that was cut, answers no `statement_timeout` of its own;
libpq waits for it without a limit. So the wait ends here too, a moment after the server should have
ended the statement by itself (`core.db` sets its time-out from the same deadline).
"""

from __future__ import annotations

import math
from typing import Any, Final

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as PostgresOperations
from psycopg import IsolationLevel
from psycopg.errors import OperationalError, _WaitTimeout

from core import deadline

#: The server ends a statement at the deadline; its word about it may take so long to arrive.
_GRACE_S: Final = 1.0
_INTERVAL_S: Final = 0.1
#: libpq takes no less.
_CONNECT_MIN_S: Final = 2


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with OperationalError, when the deadline passes in a wait."""

    def wait(self, gen: Any, interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """psycopg's own, called for everything that is sent: no longer than what is left."""
        left_s = deadline.remaining_s()
        if left_s is None:
            return super().wait(gen, interval, timeout)
        limit_s = max(left_s, 0.0) + _GRACE_S
        if timeout is not None and timeout <= limit_s:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, limit_s)
        except _WaitTimeout:
            # An answer may still be on its way, for which nothing would wait any more.
            self.pgconn.finish()
            raise OperationalError(
                f"the database did not answer within the {limit_s:.1f} s that were left"
            ) from None


class DatabaseOperations(PostgresOperations):
    """Django's, with the compilers that refuse card numbers."""

    compiler_module = "core.postgres.compiler"


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper around a `BoundedConnection`."""

    ops_class = DatabaseOperations

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        """Connect within `connect_timeout` or what is left, whichever is less."""
        self.isolation_level = IsolationLevel.READ_COMMITTED
        limit_s = deadline.cap_s(float(conn_params["connect_timeout"]))
        timeout_s = max(_CONNECT_MIN_S, math.ceil(limit_s))
        connection: BoundedConnection = BoundedConnection.connect(
            **{**conn_params, "connect_timeout": timeout_s}
        )
        return connection
