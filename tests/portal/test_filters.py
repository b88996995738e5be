"""The filters of the payments list, read as a person types them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.http import QueryDict

from core.errors import InvalidRequest
from core.spans import Span
from payments.acceptance.portal.filters import parse_major, read_filters
from tenants.seats import Seat


def seat(currency: str = "EUR") -> Seat:
    from uuid import uuid4

    return Seat(uuid4(), "merchant", "owner", None, uuid4(), uuid4(), "M", "active", currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("48.90", "EUR", 4890), ("1,234.5", "EUR", 123450), (" 7 ", "EUR", 700),
     ("980000", "JPY", 980000), ("1.234", "KWD", 1234), ("0", "EUR", 0), ("0.01", "EUR", 1),
     ("007", "EUR", 700), ("1,234", "EUR", 123400), ("1,234", "JPY", 1234),
     ("12,345,678.90", "EUR", 1234567890), ("1,234.500", "KWD", 1234500),
     ("1,234,567", "KWD", 1234567000), ("9,999,999,999.99", "EUR", 999_999_999_999),
     ("0.00000001", "BTC", 1)],
)  # fmt: skip
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert parse_major(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("", "EUR"), ("abc", "EUR"), ("1.234", "EUR"), ("1.5", "JPY"), ("-1", "EUR"), ("NaN", "EUR"),
     ("Infinity", "EUR"), ("1e30", "EUR"), ("1e-3", "EUR"), ("9" * 400, "EUR"),
     ("9" * 9000, "EUR"), ("9e999999", "EUR"), ("+1", "EUR"), ("1_000", "EUR"), ("٣", "EUR"),
     (".5", "EUR"), ("5.", "EUR"), ("1 234", "EUR"), ("10,000,000,000", "EUR"), ("1.000", "EUR")],
)  # fmt: skip
def test_what_is_no_amount_is_refused_in_words(text: str, currency: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_major(text, currency)
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    ("text", "currency", "example"),
    [("12,50", "EUR", "12.50"), ("12,5", "EUR", "12.50"), ("1,2345", "EUR", "12.50"),
     ("1234,567", "EUR", "12.50"), ("1.234,50", "EUR", "12.50"), ("1.234.567", "EUR", "12.50"),
     (",50", "EUR", "12.50"), ("1,,234", "EUR", "12.50"), ("0,500", "EUR", "12.50"),
     ("12,50", "JPY", "1250"), ("1,234", "KWD", "1.250"), ("12,500", "KWD", "1.250"),
     ("0,125", "BTC", "0.00001250"), ("1,500", "USDT", "0.001250")],
)  # fmt: skip
def test_a_comma_that_may_be_a_decimal_one_is_never_guessed(
    text: str, currency: str, example: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_major(text, currency)
    assert refused.value.message.endswith(f"rite it like {example}.")


def test_days_are_whole_days_in_utc() -> None:
    form = read_filters(QueryDict("from=2026-11-01&to=2026-11-01"), seat())
    first, after = (dt.datetime(2026, 11, day, tzinfo=dt.UTC) for day in (1, 2))
    assert form.wanted.created == Span(first, after)
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
     ("customer=pay_x", "customer"), ("status=gone", "status"), ("min=1e99", "min"),
     ("min=9e999999", "min"), ("max=12,50", "max")],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_told_at_its_field(query: str, field: str) -> None:
    assert field in read_filters(QueryDict(query), seat()).problems
