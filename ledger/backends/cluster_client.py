"""One session with a TigerBeetle cluster, for all threads of a process.

What the official client leaves to its user:

- It waits for ever for a cluster that is away. Here every call has a limit, and the threads that
  wait on do not keep the process from ending.
- The cluster keeps 64 sessions and evicts the oldest for a new one; a client whose session is over
  refuses everything from then on. Here the next call opens another.
- It takes addresses only. Here host names are looked up whenever a session is opened, and again
  when the cluster does not answer: a replica that moved is found.
- Its thread does not come along when the process forks. Here the child opens a session of its own.
- It knows how much the server takes in one request, but does not say. Here it is asked
  (`request_max`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from core import deadline, names
from core.errors import Unavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: The most that any request holds: a message of 1 MiB, less its header and trailer. A server may
#: take less (`--limit-request`; with `--development` it takes 32 KiB, which are 253).
REQUEST_MAX: Final = 8189
_PORT: Final = 3001


@dataclass
class _Session:
    client: Any
    replicas: str
    #: Zero until the cluster has answered.
    request_max: int = 0


class ClusterClient:
    """A session that is opened on first use, and opened again when it is lost.

    Args:
        package: the module `tigerbeetle`.
        addresses: "ledger-0.internal:3001,10.0.0.8:3001,…", in the order of the replicas.
        cluster_id: the number the cluster was formatted with.
        timeout_s: how long a call may take, unless the work in hand has a nearer deadline.
        in_flight: the most calls with the client at once; others wait for their turn.

    Raises:
        ValueError: what is no address.
    """

    def __init__(
        self, package: Any, addresses: str, *, cluster_id: int, timeout_s: float, in_flight: int
    ) -> None:
        self._package = package
        self._replicas = [_host_and_port(address.strip()) for address in addresses.split(",")]
        self._cluster_id = cluster_id
        self._timeout_s = timeout_s
        self._in_flight = in_flight
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._guard = threading.Lock()
        self._opening = threading.Lock()
        self._open: _Session | None = None
        self._threads = _Threads(self._in_flight)

    def close(self) -> None:
        """End the session; calls under way fail, and a later call would open another."""
        session = self._open
        if session is not None:
            self._leave(session)
        self._threads.end()

    def request_max(self) -> int:
        """How many transfers, accounts or ids a request may hold. Raises Unavailable."""
        session = self._open
        known = session.request_max if session else 0
        return known or self._call(lambda found: found.request_max)

    def call(self, ask: Callable[[Any], T]) -> T:
        """Ask the cluster through the client that `ask` is given.

        Raises:
            Unavailable: no answer in time, or the session was lost. What was asked for may have
                been done; the same call with the same ids is right in both cases.
        """
        return self._call(lambda session: ask(session.client))

    def _call(self, ask: Callable[[_Session], T]) -> T:
        limit_s = deadline.cap_s(self._timeout_s)
        answer: Future[T] = Future()
        self._threads.submit(lambda: self._answer(answer, ask))
        try:
            return answer.result(limit_s)
        except TimeoutError as error:
            # What has not been sent never will be; what was sent may yet be done.
            answer.cancel()
            self._leave_if_moved()
            raise Unavailable(
                f"The ledger's cluster did not answer within {limit_s:g} s. Send the same again."
            ) from error

    def _answer(self, answer: Future[T], ask: Callable[[_Session], T]) -> None:
        session: _Session | None = None
        try:
            session = self._session()
            if not answer.set_running_or_notify_cancel():
                return
            answer.set_result(ask(session))
        except Exception as error:  # noqa: BLE001 - the caller's thread raises it
            known = self._as_ours(error)
            if session is not None and known is not None:
                self._leave(session, error)
            if answer.running() or answer.set_running_or_notify_cancel():
                answer.set_exception(known or error)

    def _session(self) -> _Session:
        """The session, opened if there is none; threads that come meanwhile wait for it."""
        with self._opening:
            session = self._open
            if session is None:
                replicas = self._looked_up()
                client = self._package.ClientSync(
                    cluster_id=self._cluster_id, replica_addresses=replicas
                )
                session = self._open = _Session(client, replicas)
            if not session.request_max:
                try:
                    session.request_max = self._largest_request(session.client)
                except Exception as error:
                    self._leave(session, error)
                    raise
            return session

    def _looked_up(self) -> str:
        found = []
        for host, port in self._replicas:
            address = names.addresses_of(host, timeout_s=self._timeout_s)[0]
            found.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        return ",".join(found)

    def _largest_request(self, client: Any) -> int:
        """Ask how much a request may hold, with accounts that the cluster refuses: they have no id.

        (An id to look up takes an eighth of an account or a transfer, and would tell too much.)
        """
        nothing = self._package.Account()

        def holds(size: int) -> bool:
            try:
                client.create_accounts([nothing] * size)
            except self._package.TooMuchDataError:
                return False
            return True

        if holds(REQUEST_MAX):
            return REQUEST_MAX
        fits, too_much = 1, REQUEST_MAX
        while too_much - fits > 1:
            size = (fits + too_much) // 2
            fits, too_much = (size, too_much) if holds(size) else (fits, size)
        return fits

    def _leave(self, session: _Session, error: Exception | None = None) -> None:
        """Let the next call open another session; `error` is what ended this one."""
        with self._guard:
            if self._open is not session:
                return
            self._open = None
        if error is not None:
            log.warning("ledger.cluster_session_lost", reason=str(error))
        _end(session.client)

    def _leave_if_moved(self) -> None:
        """Leave a session whose replicas' names have other addresses by now."""
        session = self._open
        with contextlib.suppress(names.NotResolved):
            if session is not None and self._looked_up() != session.replicas:
                log.warning(
                    "ledger.cluster_moved", reason=f"its names no longer lead to {session.replicas}"
                )
                self._leave(session)

    def _as_ours(self, error: Exception) -> Unavailable | None:
        """What the caller hears of an error that has ended the session, or has begun none."""
        package = self._package
        if isinstance(error, package.ClientEvictedError | package.ClientClosedError):
            words = (
                "The ledger's cluster ended this process's session: it keeps 64, and the newest"
                " take the place of the oldest. Send the same again."
            )
        elif isinstance(
            error, package.ClientReleaseTooLowError | package.ClientReleaseTooHighError
        ):
            words = (
                "The ledger's cluster does not take this version of the client. Install the"
                f" client of the server's version. ({error})"
            )
        elif isinstance(error, package.TooMuchDataError):
            words = "The ledger's cluster takes smaller requests than before. Send the same again."
        elif isinstance(error, names.NotResolved):
            words = f"An address of the ledger's cluster was not found. {error}"
        elif isinstance(error, package.client.InitError):
            words = f"No client for the ledger's cluster could be made: {error}."
        else:
            return None
        found = Unavailable(words)
        found.__cause__ = error
        return found


class _Threads:
    """As many threads as are needed, at most `most`; none keeps the process from ending.

    `ThreadPoolExecutor` waits for its threads when the interpreter ends, so a process that has
    asked a cluster that is away would never end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._guard = threading.Lock()
        self._started = 0

    def submit(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if self._idle.acquire(blocking=False):
            return
        with self._guard:
            if self._started == self._most:
                return
            self._started += 1
        threading.Thread(target=self._run, name="tigerbeetle", daemon=True).start()

    def end(self) -> None:
        """Let the threads end once they have nothing left to do; new work starts new ones."""
        with self._guard:
            started, self._started = self._started, 0
        self._idle = threading.Semaphore(0)
        for _ in range(started):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            idle = self._idle
            work()
            idle.release()


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of "host:port", "[::1]:port", "host" or "port", as the server takes them."""
    if address.isdigit():
        return "127.0.0.1", int(address)
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"{address!r} is no address of a replica. Write host:port, separated by commas."
        )
    return host, int(port)


def _end(client: Any) -> None:
    # It asserts that no thread is on its way out of a call any more. Those find out by themselves.
    with contextlib.suppress(AssertionError):
        client.close()


_ALL: Final[weakref.WeakSet[ClusterClient]] = weakref.WeakSet()


def _after_fork() -> None:
    # The client's thread, and those that held a lock, stay behind in the parent. Its session is the
    # parent's: it is forgotten and not closed.
    for client in list(_ALL):
        client._begin()


def _at_exit() -> None:
    for client in list(_ALL):
        client.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
