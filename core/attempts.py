"""Counted attempts that must hold without a cache: logins, one-time codes, payouts."""

from __future__ import annotations

import hashlib
import time

from core.db import Scope, fetch_one, tenant_atomic
from core.errors import RateLimited

_COUNT = """
INSERT INTO core_attemptcounter AS c (kind, subject, "window", count, expires_at)
VALUES (%s, %s, %s, 1, to_timestamp(%s))
ON CONFLICT ON CONSTRAINT attempts_once DO UPDATE SET count = c.count + 1
RETURNING count
"""


def count_attempt(*, kind: str, subject: str, limit: int, window_s: int) -> int:
    """Count an attempt of `subject` (an e-mail, an address) and return how many are left.

    Commits by itself, so call it outside a transaction and before the check that may fail: a failed
    login counts too. Windows are fixed; at most twice the limit passes around an edge.

    Raises:
        RateLimited: this attempt is above `limit` in its window.
    """
    now = int(time.time())
    window = now // window_s
    ends_at = (window + 1) * window_s
    digest = hashlib.sha256(subject.strip().lower().encode()).hexdigest()
    with tenant_atomic(Scope.auth()):
        row = fetch_one(_COUNT, [kind, digest, window, ends_at])
    count = int(row[0]) if row else 0
    if count > limit:
        raise RateLimited(
            f"Too many attempts. Try again in {ends_at - now} s.", retry_after_s=ends_at - now
        )
    return limit - count


def forget_attempts(*, kind: str, subject: str) -> None:
    """Start over after a success."""
    digest = hashlib.sha256(subject.strip().lower().encode()).hexdigest()
    with tenant_atomic(Scope.auth()):
        fetch_one(
            "UPDATE core_attemptcounter SET count = 0 WHERE kind = %s AND subject = %s"
            " RETURNING id",
            [kind, digest],
        )
