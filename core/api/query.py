"""Reading query strings and loose bodies: known names only, times, amounts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter

from core.errors import InvalidRequest, NotFound
from core.ids import decode
from core.money import MAX_AMOUNT_MINOR

#: The two parameters of every list.
PAGE: Final = [
    OpenApiParameter("limit", int, description="1 to 100; 25 by default."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]


def known(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The parameters, when all are known; a misspelt one must not mean nothing.

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
        InvalidRequest: neither a date nor a time, or one outside the years 1970 to 9998.
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
    if value is None:
        raise _invalid(
            name, f"{name} must be a date (2026-11-21) or a time (2026-11-21T09:30:00Z)."
        )
    if not 1970 <= value.year < 9999:
        raise _invalid(name, f"{name} must lie in the years 1970 to 9998.")
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def span_of(
    given: Mapping[str, Any], first: str, last: str, *, whole_days: bool = False
) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Two times that bound a span; each is None when it is not given.

    Args:
        whole_days: a bare date as `last` then means the end of that day.

    Raises:
        InvalidRequest: no times, or `first` lies after `last`, where nothing can be found.
    """
    since, until = moment_of(given, first), moment_of(given, last, end=whole_days)
    if since is not None and until is not None and since > until:
        raise _invalid(first, f"{first} lies after {last}: nothing can be found in between.")
    return since, until


def amount_of(given: Mapping[str, str], name: str) -> int | None:
    """A whole number of minor units out of a query string; None when it is not given.

    Raises:
        InvalidRequest: no such number, below zero, or above what an amount can be.
    """
    text = given.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidRequest(
            f"{name} must be a whole number of minor units: 1000 is 10.00 EUR.",
            code="amount_not_integer",
            param=name,
        )
    if text != digits and digits.strip("0"):
        raise InvalidRequest(f"{name} must be 0 or more.", code="amount_too_small", param=name)
    # Python refuses to read thousands of digits; no amount has as many as the largest one.
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(MAX_AMOUNT_MINOR)) or int(digits) > MAX_AMOUNT_MINOR:
        raise InvalidRequest(
            f"{name} must be {MAX_AMOUNT_MINOR} at most.", code="amount_too_large", param=name
        )
    return int(digits)


def email_of(given: Mapping[str, str], name: str) -> str:
    """An e-mail address to look for; empty when it is not given.

    Raises:
        InvalidRequest: no e-mail address, which no object can have.
    """
    text = given.get(name, "").strip()
    try:
        if text:
            validate_email(text)
    except ValidationError as error:
        raise _invalid(name, f"{name} takes a whole e-mail address.") from error
    return text


def id_of(given: Mapping[str, str], name: str, prefix: str) -> uuid.UUID | None:
    """The object that a filter names; None when it is not given.

    Raises:
        NotFound: no id of such an object.
    """
    text = given.get(name)
    return decode(prefix, text, param=name) if text else None


@contextmanager
def naming(param: str) -> Iterator[None]:
    """Say of an object that is not found which parameter named it."""
    try:
        yield
    except NotFound as error:
        error.param = param
        raise


def _invalid(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="parameter_invalid", param=name)
