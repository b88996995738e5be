"""Stretches of time: half-open inside, whole days and shown milliseconds at their ends."""

from __future__ import annotations

import datetime as dt

import pytest

from core import spans
from core.api.query import span_of
from core.errors import InvalidRequest
from core.spans import Span

MIDNIGHT = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MS = dt.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Span()),
        ({"from": "2026-11-21"}, Span(MIDNIGHT)),
        ({"from": "2026-11-21", "to": "2026-11-21"}, Span(MIDNIGHT, MIDNIGHT + DAY)),
        ({"from": "2026-11-21", "before": "2026-11-22"}, Span(MIDNIGHT, MIDNIGHT + DAY)),
        ({"to": "2026-11-21T00:00:00Z"}, Span(None, MIDNIGHT + MS)),
        ({"to": "2026-11-21T00:00:00.000999Z"}, Span(None, MIDNIGHT + MS)),
        ({"before": "2026-11-21T01:00:00+01:00"}, Span(None, MIDNIGHT)),
        ({"from": "2026-11-21T00:00:00.000456Z"}, Span(MIDNIGHT)),
    ],
)
def test_what_is_asked_for_is_one_span(given: dict[str, str], wanted: Span) -> None:
    assert span_of(given) == wanted
    assert span_of({f"created_{name}": text for name, text in given.items()}, "created_") == wanted


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"from": "2026-11-22", "to": "2026-11-21"}, "from"),
        ({"from": "2026-11-21", "before": "2026-11-21"}, "from"),
        ({"to": "2026-11-21", "before": "2026-11-22"}, "to"),
        ({"before": ""}, "before"),
        ({"from": "1969-12-31"}, "from"),
    ],
)
def test_a_span_without_a_time_in_it_is_refused(given: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        span_of(given)
    assert refused.value.param == param


@pytest.mark.parametrize("text", ["", "soon", "2026-02-30", "1969-12-31", "9999-01-01"])
def test_what_is_no_day_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="Enter a date"):
        spans.read_day(text)
