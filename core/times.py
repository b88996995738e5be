"""Times as the API writes and reads them: ISO 8601 in UTC."""

from __future__ import annotations

import datetime as dt
from typing import overload


@overload
def iso(value: dt.datetime) -> str: ...
@overload
def iso(value: None) -> None: ...
def iso(value: dt.datetime | None) -> str | None:
    """2026-11-21T09:30:00.123Z, with milliseconds; None stays None."""
    if value is None:
        return None
    return value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
