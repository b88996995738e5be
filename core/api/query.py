"""Reading query strings and loose bodies: known names only, times, amounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter

from core.errors import InvalidRequest
from core.money import parse_amount

#: The two parameters of every list.
PAGE: Final = [
    OpenApiParameter("limit", int, description="1 to 100; 25 by default."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]


def known(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The parameters, when all are known; a misspelt filter must not mean "everything".

    Raises:
        InvalidRequest: a parameter that does not exist here.
    """
    for name in given:
        if name not in names:
            here = f"Known: {', '.join(names)}." if names else "There are none."
            raise InvalidRequest(
                f"There is no parameter {name[:64]!r} here. {here}",
                code="parameter_unknown",
                param=name[:64],
            )
    return dict(given)


def moment_of(given: Mapping[str, Any], name: str, *, end: bool = False) -> dt.datetime | None:
    """A date or time, UTC unless it says otherwise; None when it is not given.

    Args:
        end: a bare date then means the end of that day instead of its beginning.

    Raises:
        InvalidRequest: neither a date nor a time.
    """
    text = given.get(name)
    if text is None or text == "":
        return None
    value = day = None
    if isinstance(text, str):
        try:
            # A plus sign that was not escaped in a query string arrives as a space.
            day = parse_date(text)
            value = None if day else parse_datetime(text.replace(" ", "+"))
        except ValueError:
            pass
    if day is not None:
        value = dt.datetime.combine(day, dt.time.max if end else dt.time.min, dt.UTC)
    if value is None or not 1970 <= value.year < 9999:
        raise InvalidRequest(
            f"{name} must be a date (2026-11-21) or a time (2026-11-21T09:30:00Z).",
            code="parameter_invalid",
            param=name,
        )
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def amount_of(given: Mapping[str, Any], name: str) -> int | None:
    """A whole number of minor units; None when it is not given.

    Raises:
        InvalidRequest: anything else.
    """
    text = given.get(name)
    if not text:
        return None
    whole = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16
    return parse_amount(int(text) if whole else text, param=name, minimum=0)
