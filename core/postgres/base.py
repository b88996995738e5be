"""The database connection whose every wait ends with the deadline of the work that waits.

A server that is stopped, or behind a cable that was cut, answers no `statement_timeout` of its own;
libpq waits for it without a limit. So the wait ends here too, a moment after the server should have
ended the statement by itself (`core.db` sets its time-out from the same deadline).
"""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations as PostgresOperations
from psycopg import IsolationLevel
from psycopg.errors import OperationalError, _WaitTimeout

from core import deadline, names

#: The server ends a statement at the deadline; its word about it may take so long to arrive.
_GRACE_S: Final = 1.0
_INTERVAL_S: Final = 0.1
#: libpq takes no less.
_CONNECT_MIN_S: Final = 2
#: A connection that answered so lately is not asked whether it still does.
_FRESH_S: Final = 5.0


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with OperationalError, when the deadline passes in a wait."""

    #: When the server last answered, on the monotonic clock.
    _heard_at = 0.0

    def wait(self, gen: Any, interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """psycopg's own, called for everything that is sent: no longer than what is left."""
        left_s = deadline.remaining_s()
        limit_s = None if left_s is None else max(left_s, 0.0) + _GRACE_S
        if limit_s is None or (timeout is not None and timeout <= limit_s):
            answer = super().wait(gen, interval, timeout)
            self._heard_at = time.monotonic()
            return answer
        try:
            answer = super().wait(gen, interval, limit_s)
        except _WaitTimeout:
            # An answer may still be on its way, for which nothing would wait any more.
            self.pgconn.finish()
            raise OperationalError(
                f"the database did not answer within the {limit_s:.1f} s that were left"
            ) from None
        self._heard_at = time.monotonic()
        return answer

    def is_fresh(self) -> bool:
        """Whether the server answered lately and has said nothing since; costs no round trip.

        A server that ends a session says so, and closes the socket: both make it readable.
        """
        if self.closed or time.monotonic() - self._heard_at > _FRESH_S:
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)


def resolved(params: Mapping[str, Any], *, limit_s: float) -> dict[str, Any]:
    """The connection parameters with the addresses of their hosts, and a `connect_timeout`.

    libpq and psycopg look names up without a limit, unless `hostaddr` spares them that; TLS still
    compares the certificate with `host`. What the parameters leave out comes from the environment,
    as with libpq (PGHOST, PGHOSTADDR, PGPORT). Names and all addresses together take `limit_s`,
    though no address less than libpq's two seconds.

    Raises:
        OperationalError: no host has an address, or not in time.
    """
    ends_at = time.monotonic() + limit_s
    named, address, port_ = (
        str(params.get(name) or os.environ.get(f"PG{name.upper()}", ""))
        for name in ("host", "hostaddr", "port")
    )
    hosts = named.split(",")
    if address or any(not host or host[0] in "/@" for host in hosts):
        # Given, or a socket in the file system.
        return {**params, "connect_timeout": _whole_s(limit_s)}
    ports = port_.split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    found: list[tuple[str, str, str]] = []
    failure: names.NotResolved | None = None
    for host, port in zip(hosts, ports, strict=True):
        try:
            addresses = names.addresses_of(host, timeout_s=ends_at - time.monotonic())
        except names.NotResolved as error:
            failure = error
            continue
        found += [(host, address, port) for address in addresses]
    if not found:
        raise OperationalError(f"failed to resolve host {named!r}: {failure}")
    share_s = (ends_at - time.monotonic()) / len(found)
    return {
        **params,
        "host": ",".join(host for host, _, _ in found),
        "hostaddr": ",".join(address for _, address, _ in found),
        "port": ",".join(port for _, _, port in found),
        "connect_timeout": _whole_s(share_s),
    }


def _whole_s(limit_s: float) -> int:
    return max(_CONNECT_MIN_S, math.ceil(limit_s))


class DatabaseOperations(PostgresOperations):
    """Django's, with the compilers that refuse card numbers."""

    compiler_module = "core.postgres.compiler"


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper around a `BoundedConnection`."""

    health_check_done: bool

    ops_class = DatabaseOperations

    def close_if_health_check_failed(self) -> None:
        """Django's, once a request, with `SELECT 1` for connections that have rested alone."""
        if self.health_check_done:
            return
        if isinstance(self.connection, BoundedConnection) and self.connection.is_fresh():
            self.health_check_done = True
        super().close_if_health_check_failed()

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        """Connect within `connect_timeout` or what is left, whichever is less."""
        self.isolation_level = IsolationLevel.READ_COMMITTED
        limit_s = deadline.cap_s(float(conn_params["connect_timeout"]))
        connection: BoundedConnection = BoundedConnection.connect(
            **resolved(conn_params, limit_s=limit_s)
        )
        return connection
