"""Stretches of time: half-open inside, whatever the words were in which they were given.

A day is the UTC day. Times count to the millisecond, as answers show them (`core.times.iso`): what
an answer says can be sent back as a bound, and finds what it was read from.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.utils.dateparse import parse_date

_STEP: Final = dt.timedelta(milliseconds=1)
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` on, which is included, and before `end`, which is not; None has no bound."""

    start: dt.datetime | None = None
    end: dt.datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no time lies in it."""
        return self.start is not None and self.end is not None and self.start >= self.end

    def on(self, column: str) -> Q:
        """The rows whose `column` lies in it."""
        found = Q()
        if self.start is not None:
            found &= Q(**{f"{column}__gte": self.start})
        if self.end is not None:
            found &= Q(**{f"{column}__lt": self.end})
        return found


ALWAYS: Final = Span()


def days(first: dt.date | None, last: dt.date | None) -> Span:
    """The days from the first to the last, both included."""
    return Span(
        None if first is None else begin_of(first), None if last is None else begin_of(last) + _DAY
    )


def begin_of(day: dt.date) -> dt.datetime:
    """When a day begins."""
    return dt.datetime.combine(day, dt.time.min, dt.UTC)


def to_the_millisecond(moment: dt.datetime) -> dt.datetime:
    """The moment as answers show it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def just_after(moment: dt.datetime) -> dt.datetime:
    """The end of a span that has everything in it which an answer shows with this time."""
    return to_the_millisecond(moment) + _STEP


def read_day(text: str) -> dt.date:
    """A day as people and forms write it.

    Raises:
        ValueError: no day, or outside the years 1970 to 9998; its text is for people.
    """
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise ValueError("Enter a date, like 2026-11-21.")
    if not 1970 <= day.year < 9999:
        raise ValueError("Enter a date from 1970 to 9998.")
    return day
