"""The deadline that every wait inherits: when the work in hand must be over.

A request carries one (REQUEST_DEADLINE_S), a Celery task carries one (its soft time limit), a round
of the relay carries one. Whatever waits, for the database, a cache, a name, a receiver or a
provider, takes its own limit or what is left of the deadline, whichever is less
(`docs/architecture.md` has the table). The clock is the monotonic one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

from core.errors import Unavailable


class DeadlineExceeded(Unavailable):
    """The time of this request or task is over, and what it was about to begin was not begun."""

    default_code = "deadline_exceeded"


#: On the monotonic clock; None is no deadline.
_ends_at: ContextVar[float | None] = ContextVar("merchantry_deadline", default=None)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the block to `seconds`; inside another deadline it can only shorten that."""
    outer, wanted = _ends_at.get(), time.monotonic() + seconds
    token = _ends_at.set(wanted if outer is None else min(outer, wanted))
    try:
        yield
    finally:
        _ends_at.reset(token)


@contextlib.contextmanager
def at_least(seconds: float) -> Iterator[None]:
    """Give the block `seconds`, even where less is left of the deadline around it.

    For the few things that must not be cut short with their request: committing an answer about
    money that has come, and a file that was asked for in full knowledge of the time it takes. A
    house test names who may.
    """
    outer, wanted = _ends_at.get(), time.monotonic() + seconds
    token = _ends_at.set(None if outer is None else max(outer, wanted))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining_s() -> float | None:
    """What is left, zero or less when it is over; None without a deadline."""
    ends_at = _ends_at.get()
    return None if ends_at is None else ends_at - time.monotonic()


def cap_s(limit_s: float) -> float:
    """The lesser of `limit_s` and what is left.

    Raises:
        DeadlineExceeded: nothing is left.
    """
    left_s = remaining_s()
    if left_s is None:
        return limit_s
    if left_s <= 0:
        raise DeadlineExceeded(
            "This took too long and was given up before it was done. Send the request again with "
            "the same Idempotency-Key."
        )
    return min(limit_s, left_s)


def check() -> None:
    """Raise DeadlineExceeded when nothing is left."""
    cap_s(0)
