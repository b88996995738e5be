"""Circuit breakers: a server that does not answer is left alone for a while.

Without one, each caller finds out for itself that a server hangs, and pays a whole time-out for it.
A breaker opens after a number of consecutive failures; while it is open, callers are refused at
once. Then one caller is let through as a probe (half-open): its answer closes the breaker, its
failure opens it for twice as long, up to a limit. Times carry ±20 % jitter, so that the processes
of a platform do not probe together.

Own code, for the libraries do not fit: pybreaker holds its lock while the call runs, so that calls
to one server would follow each other one at a time; circuitbreaker has no lock, lets every caller
through when half-open and counts per decorated function; aiobreaker is asyncio's alone.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Final

import structlog

from core import metrics

log = structlog.get_logger(__name__)

#: A probe that has not reported by now has died; the next caller takes its place.
_PROBE_LASTS_S: Final = 60.0
_JITTER: Final = 0.2


class BreakerOpen(Exception):
    """The call was not made: the server has not answered lately. `retry_after_s` says when to."""

    def __init__(self, name: str, *, retry_after_s: float) -> None:
        super().__init__(f"{name} does not answer; the next try is in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Breaker:
    """The state of one server as this process sees it. Every method is safe between threads.

    Args:
        name: for the log; its first word is the kind of server, by which openings are counted.
        failures: the number in a row that opens it.
        open_s: how long it stays open the first time.
        open_max_s: the most that failed probes make of that.
    """

    def __init__(
        self, name: str, *, failures: int = 1, open_s: float = 5.0, open_max_s: float | None = None
    ) -> None:
        self.name = name
        self._failures_max = failures
        self._open_s = open_s
        self._open_max_s = max(open_s, open_max_s or open_s)
        self._lock = threading.Lock()
        self._failures = 0
        self._openings = 0
        self._open_until: float | None = None
        self._probe_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether a call would be refused now; takes no probe."""
        with self._lock:
            return self._refused_for_s(time.monotonic()) > 0

    def allow(self) -> bool:
        """Whether a call may be made; the caller then reports with `succeeded` or `failed`."""
        try:
            self.check()
        except BreakerOpen:
            return False
        return True

    def check(self) -> None:
        """As `allow`. Raises BreakerOpen."""
        with self._lock:
            now = time.monotonic()
            wait_s = self._refused_for_s(now)
            if wait_s > 0:
                raise BreakerOpen(self.name, retry_after_s=wait_s)
            if self._open_until is not None:
                self._probe_since = now

    def succeeded(self) -> None:
        """The server answered, whatever it said."""
        with self._lock:
            was_open = self._open_until is not None
            self._failures = self._openings = 0
            self._open_until = self._probe_since = None
        if was_open:
            log.info("breaker.closed", address=self.name)

    def failed(self) -> None:
        """The server did not answer."""
        with self._lock:
            self._failures += 1
            probed = self._probe_since is not None
            opens = probed or (self._open_until is None and self._failures >= self._failures_max)
            if not opens:
                return
            self._probe_since = None
            open_s = min(self._open_s * 2**self._openings, self._open_max_s)
            open_s *= random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter
            self._open_until = time.monotonic() + open_s
            # The doubling ends where the limit is reached, or the number would grow for ever.
            self._openings += open_s < self._open_max_s
        metrics.breaker_openings.labels(self.name.partition(" ")[0]).inc()
        log.warning("breaker.opened", address=self.name, retry_after_s=round(open_s, 1))

    def abandoned(self) -> None:
        """The call ended without saying anything about the server."""
        with self._lock:
            self._probe_since = None

    @contextlib.contextmanager
    def guard(self, *failures: type[BaseException]) -> Iterator[None]:
        """Run a call: the named exceptions are failures, others say nothing. Raises BreakerOpen."""
        self.check()
        try:
            yield
        except failures:
            self.failed()
            raise
        except BaseException:
            self.abandoned()
            raise
        self.succeeded()

    def _refused_for_s(self, now: float) -> float:
        """How long callers are refused from now on; 0 where one may pass."""
        if self._open_until is None:
            return 0.0
        if self._probe_since is not None and now < self._probe_since + _PROBE_LASTS_S:
            return self._open_s
        return max(0.0, self._open_until - now)
