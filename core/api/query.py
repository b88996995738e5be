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

from core import spans
from core.errors import InvalidRequest, NotFound
from core.ids import decode
from core.money import MAX_AMOUNT_MINOR
from core.spans import Span

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


def moment_of(given: Mapping[str, Any], name: str) -> dt.datetime | None:
    """A date, which is its beginning, or a time, UTC unless it says otherwise; None if not given.

    Raises:
        InvalidRequest: neither a date nor a time, or one outside the years 1970 to 9998.
    """
    day, moment = _day_or_moment(given, name)
    return moment if day is None else spans.begin_of(day)


def span_of(given: Mapping[str, Any], prefix: str = "") -> Span:
    """The span between `<prefix>from`, which is included, and `<prefix>before`, which is not.

    `<prefix>to` is the older name of an end that is included: a date means until its end, a time
    everything that answers show with that time.

    Raises:
        InvalidRequest: no dates or times, two ends, or no time between the two.
    """
    first, before, last = f"{prefix}from", f"{prefix}before", f"{prefix}to"
    start, end = moment_of(given, first), moment_of(given, before)
    day, moment = _day_or_moment(given, last)
    has_last = day is not None or moment is not None
    if end is not None and has_last:
        raise _invalid(last, f"{before} and {last} both name the end. Send {before} alone.")
    if day is not None:
        end = spans.days(None, day).end
    elif moment is not None:
        end = spans.just_after(moment)
    span = Span(start and spans.to_the_millisecond(start), end and spans.to_the_millisecond(end))
    if span.is_empty:
        words = f"lies after {last}" if has_last else f"does not lie before {before}"
        raise _invalid(first, f"{first} {words}: nothing can be found in between.")
    return span


def span_parameters(what: str, prefix: str = "") -> list[OpenApiParameter]:
    """The parameters that `span_of` reads, of a list; `what` says what lies in the span."""
    return [
        OpenApiParameter(
            f"{prefix}from", str, description=f"{what} at this date or time, or later."
        ),
        OpenApiParameter(
            f"{prefix}before",
            str,
            description=f"{what} before this date or time, which is not included.",
        ),
        OpenApiParameter(
            f"{prefix}to",
            str,
            deprecated=True,
            description=f"{what} up to the end of this date, or at this time or before. "
            f"Use `{prefix}before`.",
        ),
    ]


def span_names(prefix: str = "") -> tuple[str, str, str]:
    """The names that `span_of` reads."""
    return f"{prefix}from", f"{prefix}before", f"{prefix}to"


def _day_or_moment(
    given: Mapping[str, Any], name: str
) -> tuple[dt.date | None, dt.datetime | None]:
    """A date or a time, whichever was given; none of both when nothing was."""
    text = given.get(name)
    if text is None:
        return None, None
    day, moment = None, None
    if isinstance(text, str):
        try:
            # A plus sign that was not escaped in a query string arrives as a space.
            day = parse_date(text)
            moment = None if day else parse_datetime(text.replace(" ", "+"))
        except ValueError:
            pass
    found = day or moment
    if found is None:
        raise _invalid(
            name, f"{name} must be a date (2026-11-21) or a time (2026-11-21T09:30:00Z)."
        )
    if not 1970 <= found.year < 9999:
        raise _invalid(name, f"{name} must lie in the years 1970 to 9998.")
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return day, moment


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
