"""A pool of threads whose running slots are shared out among tenants.

A *slot* is the right to run; there are as many as the process runs requests at once. Jobs wait in
one queue for each key (a tenant, or an address that has not shown who it is). A free slot goes to
the waiting key that runs the fewest, so that a key with a hundred jobs and one with a single job
take turns, and none holds more than its share while others are about. A key that is alone may hold
every slot; what it holds beyond its share counts against no other key, so the next key to come
runs at once all the same.

A job that shows during its work that it belongs to another key (`charge`) is counted there, and
waits there for its turn where that key has its share: otherwise a thousand jobs without a name
would be one key's thousand jobs.

A job that waits for an outside server gives its slot back meanwhile (`waiting`): a slow provider
then costs threads, of which there are more than slots, and delays no other job.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from core.errors import Unavailable

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
    #: The thread that has begun it, and sleeps until its turn under its new key.
    worker: _Worker | None = None


class _Worker:
    """A thread of the pool, asleep on a lock of its own until it is handed a job."""

    __slots__ = ("_handed", "job")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self._handed = threading.Lock()
        self._handed.acquire()

    def hand(self, job: Job) -> None:
        self.job = job
        self._handed.release()

    def sleep(self, timeout_s: float = -1) -> bool:
        """Until a job is handed over; False when the time was over first."""
        return self._handed.acquire(timeout=timeout_s)


class FairPool:
    """Threads that run jobs, the slots shared out among keys.

    The thread that slept for the shortest time is woken, and no other: its connection and caches
    are warm, and every needless wake costs the others the interpreter.

    Args:
        slots: jobs that run at once.
        share: slots that one key may hold while others are about; by default three quarters.
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
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._queued = 0
        self._held: dict[str, int] = {}
        self._running = 0
        #: How many slots a key took beyond its share while it was alone, and all of these.
        self._over: dict[str, int] = {}
        self._beyond = 0
        self._parked = 0
        self._threads = 0
        self._idle: list[_Worker] = []

    def submit(self, key: str, run: Callable[[], None]) -> None:
        """Queue a job.

        Raises:
            PoolBusy: too many wait already, of this key or altogether.
        """
        with self._lock:
            queue = self._waiting.get(key)
            waiting = len(queue) if queue is not None else 0
            if waiting >= self._most_queued_per_key or self._queued >= self._most_queued:
                raise PoolBusy
            if queue is None:
                queue = self._waiting[key] = deque()
            queue.append(Job(key, run))
            self._queued += 1
            self._dispatch()
            if not self._threads:
                # The system starts no thread, and none runs that would take the job later.
                self._waiting.clear()
                self._queued = 0
                raise PoolBusy

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the current job's slot to others for the block.

        Where no further thread may be parked the job keeps its slot. A job that comes back runs at
        once, over the number of slots if need be: it ends sooner than a new one.
        """
        job = _current.job
        if job is None or not self._park(job):
            yield
            return
        try:
            yield
        finally:
            with self._lock:
                self._parked -= 1
                self._take(job)

    def charge(self, key: str, *, wait_s: float) -> None:
        """Count the current job to another key from now on: it has shown whose it is.

        Where that key has its share, the job sleeps until its turn. Without time, or where no
        further thread may be parked, it goes on at once.

        Raises:
            Unavailable: its turn did not come within `wait_s`.
        """
        job, worker = _current.job, _current.worker
        if job is None or worker is None or job.key == key:
            return
        with self._lock:
            self._release(job)
            job.key = key
            held = self._held.get(key, 0)
            has_share = held >= self.share
            is_alone = held == self._running < self.slots
            if not has_share or is_alone or wait_s <= 0 or self._parked >= self._most_parked:
                self._take(job, beyond=has_share and is_alone)
                # The first key may have a turn again.
                self._dispatch()
                return
            job.worker = worker
            self._parked += 1
            self._waiting.setdefault(key, deque()).append(job)
            self._queued += 1
            self._dispatch()
        if not worker.sleep(wait_s) and not self._given_up(job):
            worker.sleep()

    def _given_up(self, job: Job) -> bool:
        """Take a job that sleeps out of the queue again; False when its turn has just come.

        Raises:
            Unavailable: it was taken out. It runs on, to say so.
        """
        with self._lock:
            if job.worker is None:
                return False
            self._waiting[job.key].remove(job)
            if not self._waiting[job.key]:
                del self._waiting[job.key]
            self._queued -= 1
            self._parked -= 1
            job.worker = None
            self._take(job)
        raise Unavailable(
            "Too many requests of yours are under way. Try again in a moment, with the same "
            "Idempotency-Key."
        )

    def figures(self) -> dict[str, int]:
        """Jobs running, waiting and parked, and threads, as of now."""
        with self._lock:
            return {
                "running": self._running,
                "queued": self._queued,
                "parked": self._parked,
                "threads": self._threads,
            }

    def drain(self, *, within_s: float) -> bool:
        """Wait until every job has ended; False if the time was over first."""
        with self._lock:
            return self._quiet.wait_for(
                lambda: not (self._running or self._queued or self._parked), within_s
            )

    def _park(self, job: Job) -> bool:
        with self._lock:
            if self._parked >= self._most_parked:
                return False
            self._parked += 1
            self._release(job)
            self._dispatch()
        return True

    def _dispatch(self) -> None:
        """Hand jobs whose turn it is to threads without work; the lock is held."""
        while self._queued:
            job = self._next()
            if job is None:
                return
            if job.worker is not None:
                worker, job.worker = job.worker, None
                self._parked -= 1
                worker.hand(job)
            elif self._idle:
                self._idle.pop().hand(job)
            elif not self._spawned(job):
                return

    def _spawned(self, job: Job) -> bool:
        """Start a thread for the job; False, and the job is back at the head, where none may be."""
        if self._threads < self._most_threads():
            worker = _Worker(job)
            thread = threading.Thread(target=self._work, args=[worker], name="web", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                log.warning("pool.no_thread", count=self._threads)
            else:
                self._threads += 1
                return True
        self._release(job)
        self._waiting.setdefault(job.key, deque()).appendleft(job)
        self._queued += 1
        return False

    def _most_threads(self) -> int:
        return self.slots + self._beyond + self._parked

    def _take(self, job: Job, *, beyond: bool = False) -> None:
        self._running += 1
        self._held[job.key] = self._held.get(job.key, 0) + 1
        if beyond:
            self._beyond += 1
            self._over[job.key] = self._over.get(job.key, 0) + 1

    def _release(self, job: Job) -> None:
        self._running -= 1
        if over := self._over.pop(job.key, 0):
            # What a key has beyond its share is the first to go.
            self._beyond -= 1
            if over > 1:
                self._over[job.key] = over - 1
        left = self._held[job.key] - 1
        if left:
            self._held[job.key] = left
        else:
            del self._held[job.key]

    def _next(self) -> Job | None:
        """The job whose turn it is, if a slot is free for it; the lock is held."""
        chosen, beyond = self._whose_turn()
        if chosen is None:
            return None
        queue = self._waiting[chosen]
        job = queue.popleft()
        self._queued -= 1
        if queue:
            # Behind the other keys, so that equals take turns.
            self._waiting.move_to_end(chosen)
        else:
            del self._waiting[chosen]
        self._take(job, beyond=beyond)
        return job

    def _whose_turn(self) -> tuple[str | None, bool]:
        """The waiting key that may run a job and runs the fewest; whether beyond its share."""
        if self._running - self._beyond < self.slots:
            fewest, chosen = self.share, None
            for key in self._waiting:
                held = self._held.get(key, 0)
                if held < fewest:
                    fewest, chosen = held, key
                    if not held:
                        break
            if chosen is not None:
                return chosen, False
        if len(self._waiting) == 1 and self._running < self.slots:
            alone = next(iter(self._waiting))
            if self._held.get(alone) == self._running:
                return alone, True
        return None, False

    def _work(self, worker: _Worker) -> None:
        _current.pool, _current.worker = self, worker
        job = worker.job
        while job is not None:
            _current.job = job
            try:
                job.run()
            except BaseException:
                # SystemExit too: a thread that ended here would keep its slot for ever.
                log.exception("pool.job_failed")
            _current.job = None
            job = self._after(job, worker)
        self._on_thread_end()

    def _after(self, job: Job, worker: _Worker) -> Job | None:
        """The thread's next job, awaited if need be; None when it has become one too many."""
        worker.job = None
        with self._lock:
            self._release(job)
            self._idle.append(worker)
            self._dispatch()
            if not (self._running or self._queued or self._parked):
                self._quiet.notify_all()
        while not worker.sleep(IDLE_THREAD_S):
            with self._lock:
                if worker in self._idle and self._threads > self.slots:
                    self._idle.remove(worker)
                    self._threads -= 1
                    return None
        return worker.job


class _Current(threading.local):
    job: Job | None = None
    worker: _Worker | None = None
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


def charge(key: str, *, wait_s: float) -> None:
    """Count the running request to this tenant (`FairPool.charge`); outside a pool, nothing."""
    if _current.pool is not None:
        _current.pool.charge(key, wait_s=wait_s)
