"""A pool of threads whose running slots are shared out among tenants.

A *slot* is the right to run; there are as many as the process runs requests at once. Jobs wait in
one queue for each key (a tenant, or an address that has not shown who it is). A free slot goes to
the waiting key that runs the fewest, so that a key with a hundred jobs and one with a single job
take turns, and no key ever holds more than its share, so that a slot is soon free for the next.

A job that waits for an outside server gives its slot back meanwhile (`waiting`): a slow provider
then costs threads, of which there are more than slots, and nobody's turn.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

#: A thread beyond the slots ends after so long without work.
IDLE_THREAD_S = 30.0


class PoolBusy(Exception):
    """The queue of this key, or the queue as a whole, is full."""


@dataclass(slots=True)
class Job:
    """Work for one key; `run` may not raise."""

    key: str
    run: Callable[[], None]
    since: float


class FairPool:
    """Threads that run jobs, the slots shared out among keys.

    Args:
        slots: jobs that run at once.
        share: slots that one key may hold; by default three quarters of them.
        parked: threads beyond the slots, for jobs that wait for an outside server.
        queued_per_key, queued: jobs that may wait.
        on_thread_end: called in a thread that ends, to give back what it holds (connections).
    """

    def __init__(
        self,
        *,
        slots: int,
        share: int | None = None,
        parked: int = 24,
        queued_per_key: int = 100,
        queued: int = 1_000,
        on_thread_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.slots = slots
        self.share = share or max(1, slots * 3 // 4)
        self._most_parked = parked
        self._most_queued_per_key = queued_per_key
        self._most_queued = queued
        self._on_thread_end = on_thread_end
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._queued = 0
        self._held: dict[str, int] = {}
        self._running = 0
        self._parked = 0
        self._threads = 0
        self._idle = 0

    def submit(self, key: str, run: Callable[[], None]) -> None:
        """Queue a job.

        Raises:
            PoolBusy: too many wait already, of this key or altogether.
        """
        with self._changed:
            queue = self._waiting.get(key)
            waiting = len(queue) if queue is not None else 0
            if waiting >= self._most_queued_per_key or self._queued >= self._most_queued:
                raise PoolBusy
            if queue is None:
                queue = self._waiting[key] = deque()
            queue.append(Job(key, run, time.monotonic()))
            self._queued += 1
            if self._idle:
                self._changed.notify()
            elif self._threads < self.slots + self._parked:
                self._spawn()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the current job's slot to others for the block.

        Where no further thread may be parked the job keeps its slot. A job that comes back runs at
        once, over the number of slots if need be: it ends sooner than a new one.
        """
        job: Job | None = getattr(_current, "job", None)
        if job is None or not self._park(job):
            yield
            return
        try:
            yield
        finally:
            with self._changed:
                self._parked -= 1
                self._take(job)

    def charge(self, key: str) -> None:
        """Count the current job to another key from now on: it has shown whose it is."""
        job: Job | None = getattr(_current, "job", None)
        if job is None or job.key == key:
            return
        with self._changed:
            self._release(job)
            job.key = key
            self._take(job)

    def figures(self) -> dict[str, int]:
        """Jobs running, waiting and parked, and threads, as of now."""
        with self._changed:
            return {
                "running": self._running,
                "queued": self._queued,
                "parked": self._parked,
                "threads": self._threads,
            }

    def drain(self, *, within_s: float) -> bool:
        """Wait until every job has ended; False if the time was over first."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._running or self._queued or self._parked), within_s
            )

    def _park(self, job: Job) -> bool:
        with self._changed:
            if self._parked >= self._most_parked:
                return False
            self._parked += 1
            self._release(job)
            self._wake()
        return True

    def _wake(self) -> None:
        """See that a thread looks for work; the lock is held."""
        if self._idle:
            self._changed.notify()
        elif self._queued and self._threads < self.slots + self._parked:
            self._spawn()

    def _spawn(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="web", daemon=True).start()

    def _take(self, job: Job) -> None:
        self._running += 1
        self._held[job.key] = self._held.get(job.key, 0) + 1

    def _release(self, job: Job) -> None:
        self._running -= 1
        left = self._held[job.key] - 1
        if left:
            self._held[job.key] = left
        else:
            del self._held[job.key]

    def _next(self) -> Job | None:
        """The job whose turn it is, if a slot is free for it; the lock is held."""
        if self._running >= self.slots:
            return None
        fewest, chosen = self.share, ""
        for key in self._waiting:
            held = self._held.get(key, 0)
            if held < fewest:
                fewest, chosen = held, key
                if not held:
                    break
        if not chosen:
            return None
        queue = self._waiting[chosen]
        job = queue.popleft()
        self._queued -= 1
        if queue:
            # Behind the other keys, so that equals take turns.
            self._waiting.move_to_end(chosen)
        else:
            del self._waiting[chosen]
        self._take(job)
        return job

    def _work(self) -> None:
        while (job := self._await_job()) is not None:
            _current.job = job
            _current.pool = self
            try:
                job.run()
            except Exception:
                log.exception("pool.job_failed")
            finally:
                _current.job = None
                with self._changed:
                    self._release(job)
                    if not (self._running or self._queued):
                        self._changed.notify_all()
        self._on_thread_end()

    def _await_job(self) -> Job | None:
        """The next job; None when this thread has become one too many."""
        with self._changed:
            while True:
                job = self._next()
                if job is not None:
                    # One slot may have become free for two keys' jobs: let another thread look.
                    if self._queued and self._running < self.slots:
                        self._wake()
                    return job
                self._idle += 1
                woken = self._changed.wait(IDLE_THREAD_S)
                self._idle -= 1
                if not woken and self._threads > self.slots:
                    self._threads -= 1
                    return None


class _Current(threading.local):
    job: Job | None = None
    pool: FairPool | None = None


_current = _Current()


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Give this thread's slot to other requests while it waits for an outside server.

    Outside a pool (a worker, a command, a test) it does nothing.
    """
    pool = _current.pool
    if pool is None:
        yield
        return
    with pool.waiting():
        yield


def charge(key: str) -> None:
    """Count the running request to this tenant; outside a pool it does nothing."""
    if _current.pool is not None:
        _current.pool.charge(key)
