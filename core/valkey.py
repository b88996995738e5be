"""Clients of Valkey that cannot hang: time-outs, one retry with jitter, a breaker for each server.

Valkey answers in well under a millisecond and holds nothing that must not be lost, so a quarter of
a second without an answer means that it is away. The first caller who finds that out opens the
breaker; the others go on at once without it (`Away` is a RedisError, which all of them expect).
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from core import names
from core.breaker import Breaker, BreakerOpen

TIMEOUT_S: Final = 0.25
_OPEN_S: Final = 5.0
#: With an address left to try, so much time is given to it; 0 would mean not to block.
_LEAST_S: Final = 0.01

#: A connection that broke (the server was restarted) is made again once; a time-out is final.
_RETRY: Final = Retry(
    ExponentialWithJitterBackoff(base=0.01, cap=0.05),
    retries=1,
    supported_errors=(redis.ConnectionError,),
)
#: What every connection is made with; settings hand it to Django's cache too.
OPTIONS: Final[dict[str, Any]] = {
    "socket_timeout": TIMEOUT_S,
    "socket_connect_timeout": TIMEOUT_S,
    "socket_keepalive": True,
    "retry": _RETRY,
}
_FAILURES: Final = (redis.ConnectionError, redis.TimeoutError, OSError)

_breakers: dict[str, Breaker] = {}
_lock = threading.Lock()


class Connection(redis.Connection):
    """A connection whose name is looked up within its limit, as connecting is."""

    def _connect(self) -> Any:
        """redis-py's own, to each address in turn; `socket_connect_timeout` is for all of it."""
        host, limit_s = self.host, self.socket_connect_timeout
        ends_at = time.monotonic() + (TIMEOUT_S if limit_s is None else limit_s)
        addresses = names.addresses_of(host, timeout_s=ends_at - time.monotonic())
        failure: OSError | None = None
        try:
            for tried, address in enumerate(addresses):
                share_s = (ends_at - time.monotonic()) / (len(addresses) - tried)
                self.host, self.socket_connect_timeout = address, max(share_s, _LEAST_S)
                try:
                    return super()._connect()  # type: ignore[no-untyped-call]  # redis types no internals
                except OSError as error:
                    failure = error
        finally:
            # TLS compares the certificate with the name.
            self.host, self.socket_connect_timeout = host, limit_s
        assert failure is not None
        raise failure


class TlsConnection(redis.SSLConnection, Connection):
    """The same with TLS, whose `_connect` wraps the socket of the next class: ours."""


class Away(redis.ConnectionError):
    """Nothing was sent: the server has not answered lately."""


def breaker_of(address: str) -> Breaker:
    """The breaker of the server with this address (host and port); one for all its clients."""
    with _lock:
        found = _breakers.get(address)
        if found is None:
            found = _breakers[address] = Breaker(f"valkey {address}", open_s=_OPEN_S)
        return found


class Client(redis.Redis):
    """A client whose commands go through the breaker of their server."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        breaker = breaker_of(self._address())
        try:
            breaker.check()
        except BreakerOpen as error:
            raise Away(str(error)) from None
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis types no internals
        except _FAILURES:
            breaker.failed()
            raise
        except redis.RedisError:
            # It answered, with an error.
            breaker.succeeded()
            raise
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return answer

    def _address(self) -> str:
        kwargs = self.connection_pool.connection_kwargs
        return str(kwargs.get("path") or f"{kwargs.get('host')}:{kwargs.get('port')}")


def client(url: str) -> Client:
    """A client of the server that `url` names; make one for a process and keep it."""
    return cast("Client", Client.from_url(url, **OPTIONS, **connections_of(url)))


def connections_of(url: str) -> dict[str, Any]:
    """The option that gives a client of this server our connections; none for a Unix socket."""
    found = {"redis": Connection, "rediss": TlsConnection}.get(urlsplit(url).scheme)
    return {"connection_class": found} if found else {}


def address_of(url: str) -> str:
    """The address of a server under which `breaker_of` knows it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
