"""The one way to hand work to a Celery worker: bounded in time, and never an error.

A message in the broker only makes work begin sooner. What has to be done is written in PostgreSQL
before, and a sweep finds it there (CELERY_BEAT_SCHEDULE), so a broker that is away costs seconds
and must hold up no answer. The first caller who meets a broker that does not answer pays a quarter
of a second; the breaker spares it to those after it. A house test keeps `.delay()`,
`.apply_async()` and `.send_task()` out of the rest of the code.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any, Final

import kombu.exceptions
import redis
import structlog
from celery import current_app

from core.breaker import Breaker

log = structlog.get_logger(__name__)

#: Connecting, and each answer of the broker, may take so long.
TIMEOUT_S: Final = 0.25
_OPEN_S: Final = 5.0
#: For Redis and Valkey. A worker's own connections wait longer (settings): they read blockingly.
_TRANSPORT_OPTIONS: Final[dict[str, Any]] = {
    "socket_timeout": TIMEOUT_S,
    "socket_connect_timeout": TIMEOUT_S,
    "retry_on_timeout": False,
    # kombu would try to connect for ever, two seconds apart.
    "max_retries": 0,
}
_FAILURES: Final = (kombu.exceptions.OperationalError, redis.RedisError, OSError)

_breaker = Breaker("broker", open_s=_OPEN_S)


def enqueue(name: str, *args: str, expires_s: float | None = None) -> bool:
    """Have a worker run the task `name` with these arguments (ids); say whether it was queued.

    By name, for services know nothing of the tasks that call them. Call it after the commit
    (`core.db.after_commit`): a worker may be quicker than one's own COMMIT.

    Args:
        expires_s: a worker that comes to it later than this leaves it; its sweep has been by.
    """
    if not _breaker.allow():
        return False
    ends_at = time.monotonic() + TIMEOUT_S
    while True:
        producer = _producers.take()
        try:
            current_app.send_task(
                name, args=list(args), producer=producer, retry=False, expires=expires_s
            )
        except _FAILURES as error:
            _producers.drop(producer)
            # A connection from before the broker's restart breaks at once; a new one may not.
            if producer.is_used and time.monotonic() < ends_at and not _timed_out(error):
                continue
            _breaker.failed()
            log.warning("task.not_enqueued", task=name, error_type=type(error).__name__)
            return False
        except BaseException:
            _producers.drop(producer)
            _breaker.abandoned()
            raise
        producer.is_used = True
        _producers.give_back(producer)
        _breaker.succeeded()
        return True


def _timed_out(error: BaseException | None) -> bool:
    """Whether the broker was silent, as opposed to gone."""
    while error is not None:
        if isinstance(error, redis.TimeoutError | TimeoutError):
            return True
        error = error.__cause__
    return False


class _Producer(kombu.Producer):
    """A producer with a connection of its own."""

    #: Whether something was sent over it before.
    is_used = False


class _Producers:
    """The producers that no thread is using now; as many as threads have enqueued at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Producer] = []
        self._pid = 0

    def take(self) -> _Producer:
        with self._lock:
            if self._pid != os.getpid():
                # A forked process must not speak over the sockets of the one it came from.
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        connection = current_app.connection_for_write(
            transport_options=_TRANSPORT_OPTIONS, connect_timeout=TIMEOUT_S
        )
        # Made when it first sends: here nothing connects yet.
        return _Producer(connection, auto_declare=False)

    def give_back(self, producer: _Producer) -> None:
        with self._lock:
            self._idle.append(producer)

    def drop(self, producer: _Producer) -> None:
        """Close a connection; one that has failed may refuse even that."""
        connection = producer.connection
        if connection is not None:
            with contextlib.suppress(*_FAILURES):
                connection.release()

    def close(self) -> None:
        """Close what is idle (tests)."""
        with self._lock:
            idle, self._idle = self._idle, []
        for producer in idle:
            self.drop(producer)


_producers = _Producers()
