"""When a webhook is tried again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# Standard Webhooks' recommended schedule: the pause before each attempt, counted from the last one.
DELAYS_S: Final = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS: Final = len(DELAYS_S)
JITTER: Final = 0.2
RETRY_AFTER_MAX_S: Final = 86_400
# An endpoint is disabled after this many failures in a row, and not before they have lasted this
# long: a busy shop fails ten times within a second of a short outage.
DISABLE_AFTER_FAILURES: Final = 10
DISABLE_AFTER_S: Final = 2 * 86_400


def next_attempt_at(
    *, attempts: int, now: datetime, retry_after: str | None = None
) -> datetime | None:
    """The time of the next attempt after `attempts` failed ones; None when there is none left.

    Jitter of ±20 % keeps the retries of one outage from arriving together. A `Retry-After` (seconds
    or an HTTP date) may postpone the attempt, by a day at most, and never bring it forward.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay_s = DELAYS_S[attempts] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter
    asked_s = retry_after_s(retry_after, now=now)
    if asked_s is not None:
        delay_s = max(delay_s, asked_s)
    return now + timedelta(seconds=delay_s)


def retry_after_s(value: str | None, *, now: datetime) -> int | None:
    """Read a `Retry-After` header (RFC 9110 §10.2.3) as seconds, capped; None when unreadable."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_MAX_S)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, min(int((moment - now).total_seconds()), RETRY_AFTER_MAX_S))
