"""The filters of the payments list, read as a person types them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.http import QueryDict

from core.errors import InvalidRequest
from payments.acceptance.portal.filters import parse_major, read_filters
from tenants.seats import Seat


def seat(currency: str = "EUR") -> Seat:
    from uuid import uuid4

    return Seat(uuid4(), "merchant", "owner", None, uuid4(), uuid4(), "M", "active", currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("48.90", "EUR", 4890), ("1,234.5", "EUR", 123450), (" 7 ", "EUR", 700),
     ("980000", "JPY", 980000), ("1.234", "KWD", 1234), ("0", "EUR", 0)],
)  # fmt: skip
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert parse_major(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("", "EUR"), ("abc", "EUR"), ("1.234", "EUR"), ("1.5", "JPY"), ("-1", "EUR"), ("NaN", "EUR"),
     ("Infinity", "EUR"), ("1e30", "EUR"), ("1e-3", "EUR"), ("9" * 400, "EUR")],
)  # fmt: skip
def test_what_is_no_amount_is_refused_in_words(text: str, currency: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_major(text, currency)
    assert refused.value.message.endswith(".")


def test_days_are_whole_days_in_utc() -> None:
    form = read_filters(QueryDict("from=2026-11-01&to=2026-11-01"), seat())
    assert form.wanted.created_from == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    assert form.wanted.created_to == dt.datetime(2026, 11, 1, 23, 59, 59, 999999, tzinfo=dt.UTC)
    assert form.chips == {"date": "2026-11-01"}


def test_an_amount_narrows_to_one_currency() -> None:
    form = read_filters(QueryDict("min=10"), seat())
    assert (form.wanted.amount_min_minor, form.wanted.currency) == (1000, "EUR")
    yen = read_filters(QueryDict("min=10&currency=jpy"), seat())
    assert (yen.wanted.amount_min_minor, yen.wanted.currency) == (10, "JPY")


def test_nothing_typed_narrows_nothing() -> None:
    form = read_filters(QueryDict(""), seat())
    assert not form.active
    assert not form.problems
    assert form.wanted.currency == ""


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=yesterday", "from"), ("from=2026-13-01", "from"),
     ("from=2026-11-02&to=2026-11-01", "to"),
     ("min=2&max=1", "max"), ("last4=12", "last4"), ("currency=XYZ", "currency"),
     ("customer=pay_x", "customer"), ("status=gone", "status"), ("min=1e99", "min")],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_told_at_its_field(query: str, field: str) -> None:
    assert field in read_filters(QueryDict(query), seat()).problems
