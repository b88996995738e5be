"""Attempts with a growing cost: logins, one-time codes, and mails that a stranger can trigger.

Counters are in PostgreSQL, because they must hold without a cache. Nothing waits here: an attempt
that comes too early is refused with the seconds to wait (429 with Retry-After).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Throttle:
    """How one kind of attempt is slowed.

    `free` attempts pass at once. The one that uses them up, and each later one, closes the counter
    for a time: `first_delay_s`, then double each time, up to `max_delay_s`. One attempt is forgiven
    for each `leak_s` without one. A kind that starts with ``mail_`` may be counted in any scope.
    """

    kind: str
    free: int
    first_delay_s: int
    max_delay_s: int
    leak_s: int

    @property
    def cap(self) -> int:
        """The level at which the delay is longest; a counter rises no further."""
        level = self.free
        while self.first_delay_s << (level - self.free) < self.max_delay_s:
            level += 1
        return level


#: A counter: how it is slowed, and whom it counts (an e-mail address, a network).
Counter = tuple[Throttle, str]

_TAKE = "SELECT core_throttle_take(%s, %s, %s, %s, %s, %s, %s)"
_TAKE_MAIL = "SELECT core_throttle_take_mail(%s, %s, %s, %s, %s, %s, %s)"


def attempts_take(*counters: Counter) -> None:
    """Count one attempt on every counter, or on none where one of them is closed.

    Commits by itself, so call it outside a transaction and before the check that may fail: guesses
    that arrive at the same moment then pass one by one.

    Raises:
        RateLimited: a counter is closed; says for how long.
    """
    with tenant_atomic(Scope.auth()):
        # In one order, so that two logins which share two counters never wait for each other.
        for throttle, subject in sorted(counters, key=lambda counter: counter[0].kind):
            _refuse_early(_take(_TAKE, throttle, subject))


def mail_take(throttle: Throttle, subject: str) -> int:
    """Count a mail in the open transaction, of whichever scope; 0, or the seconds to wait."""
    return _take(_TAKE_MAIL, throttle, subject)


def attempts_give_back(*counters: Counter) -> None:
    """Take an attempt that turned out right off its counters, which others may share."""
    with tenant_atomic(Scope.auth()):
        for throttle, subject in sorted(counters, key=lambda counter: counter[0].kind):
            fetch_all(
                "UPDATE core_attemptthrottle SET level = greatest(level - 1, 0),"
                " free_at = CASE WHEN level <= %s THEN clock_timestamp() ELSE free_at END"
                " WHERE kind = %s AND subject = %s RETURNING 1",
                [throttle.free, throttle.kind, subject_digest(subject)],
            )


def attempts_forget(*counters: Counter) -> None:
    """Start over after a success."""
    with tenant_atomic(Scope.auth()):
        for throttle, subject in sorted(counters, key=lambda counter: counter[0].kind):
            fetch_all(
                "DELETE FROM core_attemptthrottle WHERE kind = %s AND subject = %s RETURNING 1",
                [throttle.kind, subject_digest(subject)],
            )


def _take(statement: str, throttle: Throttle, subject: str) -> int:
    row = fetch_one(
        statement,
        [
            throttle.kind,
            subject_digest(subject),
            throttle.free,
            throttle.first_delay_s,
            throttle.max_delay_s,
            throttle.cap,
            throttle.leak_s,
        ],
    )
    return int(row[0]) if row else 0


def _refuse_early(wait_s: int) -> None:
    if wait_s:
        raise RateLimited(f"Too many attempts. Try again in {wait_s} s.", retry_after_s=wait_s)


def subject_digest(subject: str) -> str:
    """SHA-256 of the subject that a counter counts: the table holds no address in the clear."""
    return hashlib.sha256(subject.strip().lower().encode()).hexdigest()
