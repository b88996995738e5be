"""Looking up host names within a limit; `getaddrinfo` itself knows none.

Two kinds of names are looked up apart, so that neither takes the other's threads:

- Our own servers' (`addresses_of`): few, needed all the time. The last good addresses are kept for
  the life of the process and served at once; once they are FRESH_S old, a look-up is started beside
  it for the next caller. So a resolver that is slow or away is waited for only while nothing is
  known yet.
- Names that others give us (`look_up`): asked for each time.

Each look-up has a thread of its own, shared by everybody who asks for the same name meanwhile. A
thread lives for as long as the resolver takes (its own time-outs, some 30 s), hence the limits on
how many names are looked up at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeAlias

#: For so long known addresses are served without asking again, and a failure is an answer.
FRESH_S: Final = 5.0
FAILED_FOR_S: Final = 1.0
#: As many addresses of a server are tried; resolvers list the best first (RFC 6724).
_ADDRESSES_MAX: Final = 3
_OWN_MAX: Final = 16
_OTHERS_MAX: Final = 128
#: Loopback whatever the resolver says (RFC 6761, 6.3).
_LOCALHOST: Final = ("127.0.0.1", "::1")

Addresses: TypeAlias = tuple[str, ...]


class NotResolved(OSError):
    """The name has no address, or no resolver could be asked."""


class NotResolvedInTime(NotResolved, TimeoutError):
    """The resolver did not answer in time."""


class Lookups:
    """Look-ups under way, one thread for each name and `limit` at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Addresses]] = {}

    def begin(self, host: str) -> Future[Addresses]:
        """Ask, or join those who are asking; the future's errors are NotResolved.

        Raises NotResolved: too many are under way.
        """
        with self._lock:
            found = self._under_way.get(host)
            if found is not None:
                return found
            if len(self._under_way) >= self._limit:
                raise NotResolved("Too many names are being looked up.")
            future: Future[Addresses] = Future()
            try:
                # Daemonic: a resolver that hangs must not keep the process from ending.
                threading.Thread(
                    target=self._work, args=(host, future), name="dns", daemon=True
                ).start()
            except (RuntimeError, MemoryError) as error:
                raise NotResolved(f"No thread for a look-up: {error}") from error
            self._under_way[host] = future
            return future

    def _work(self, host: str, future: Future[Addresses]) -> None:
        found: Addresses = ()
        failure: Exception | None = None
        try:
            found = _ask(host)
        except Exception as error:  # noqa: BLE001 - raised again by who waits for it
            failure = error
        self._over(host, found)
        with self._lock:
            del self._under_way[host]
        if failure is None:
            future.set_result(found)
        else:
            future.set_exception(failure)

    def _over(self, host: str, found: Addresses) -> None:
        """A look-up has ended; empty where it failed."""


@dataclass(slots=True)
class _Known:
    """What is known of a server's name: its last good addresses, and when to ask again."""

    addresses: Addresses = ()
    ask_at: float = 0.0


class _OwnLookups(Lookups):
    """Look-ups of our servers' names, which remember what they found."""

    def __init__(self) -> None:
        super().__init__(_OWN_MAX)
        self._known: dict[str, _Known] = {}

    def known(self, host: str) -> _Known:
        return self._known.setdefault(host, _Known())

    def _over(self, host: str, found: Addresses) -> None:
        known = self.known(host)
        known.addresses = found[:_ADDRESSES_MAX] or known.addresses
        known.ask_at = time.monotonic() + (FRESH_S if found else FAILED_FOR_S)


_own = _OwnLookups()
_others = Lookups(_OTHERS_MAX)


def addresses_of(host: str, *, timeout_s: float) -> Addresses:
    """The addresses of one of our servers, best first; waits only where none was ever found.

    An address, and `localhost`, are answered without asking.

    Raises:
        NotResolvedInTime: no answer within `timeout_s`.
        NotResolved: the name has no address, or could not be asked for.
    """
    found = _known_or_asked(host)
    return found if isinstance(found, tuple) else _waited_for(found, timeout_s)[:_ADDRESSES_MAX]


async def addresses_in_loop(host: str) -> Addresses:
    """The same for a coroutine; its caller limits the wait, and the look-up takes no executor.

    Raises NotResolved: the name has no address, or could not be asked for.
    """
    found = _known_or_asked(host)
    if isinstance(found, tuple):
        return found
    # Others wait for the same look-up: who gives up must not cancel it.
    answer = await asyncio.shield(asyncio.wrap_future(found))
    return answer[:_ADDRESSES_MAX]


def look_up(host: str, *, timeout_s: float) -> Addresses:
    """The addresses of a name from outside, asked for now. Raises as `addresses_of`."""
    return _waited_for(_others.begin(host), timeout_s)


def numeric(host: str) -> Addresses:
    """The address that `host` is, however it is written (127.1). Raises NotResolved for a name."""
    return _ask(host, flags=socket.AI_NUMERICHOST)


def forget_names() -> None:
    """Forget what this process knows (tests, and a process that was forked off)."""
    global _own, _others
    _own, _others = _OwnLookups(), Lookups(_OTHERS_MAX)


# The threads of look-ups under way, and those that held a lock, stay behind in the parent.
os.register_at_fork(after_in_child=forget_names)


def _known_or_asked(host: str) -> Addresses | Future[Addresses]:
    """The addresses of one of our servers where they are known; else the look-up under way."""
    here = _without_asking(host)
    if here:
        return here
    known = _own.known(host)
    if time.monotonic() < known.ask_at:
        if known.addresses:
            return known.addresses
        raise NotResolved(f"{host} did not resolve a moment ago.")
    try:
        asked = _own.begin(host)
    except NotResolved:
        if known.addresses:
            return known.addresses
        raise
    return known.addresses or asked


def _without_asking(host: str) -> Addresses:
    if host == "localhost":
        return _LOCALHOST
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ()
    return (host,)


def _waited_for(asked: Future[Addresses], timeout_s: float) -> Addresses:
    try:
        failure = asked.exception(timeout=max(timeout_s, 0.0))
    except TimeoutError:
        raise NotResolvedInTime("The host name did not resolve in time.") from None
    if failure is not None:
        # An error of its own for each who waited: they would add their tracebacks to a shared one.
        raise NotResolved(str(failure)) from failure
    return asked.result()


def _ask(host: str, *, flags: int = 0) -> Addresses:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        raise NotResolved(str(error)) from error
    found = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))
    if not found:
        raise NotResolved("The host name has no address.")
    return found
