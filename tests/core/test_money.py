"""Currencies as ISO 4217 counts them, and amounts for people's eyes."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.money import currency, format_money, to_figure, to_plain


@pytest.mark.parametrize(
    ("minor", "code", "shown"),
    [
        (976, "BHD", "BHD\u00a00.976"),
        (-976, "BHD", "-BHD\u00a00.976"),
        (4890, "CHF", "CHF\u00a048.90"),
        (4890, "EUR", "€48.90"),
        (4890, "CAD", "CA$48.90"),
        (5, "BTC", "0.00000005 BTC"),
    ],
)
def test_letters_and_figures_stand_apart(minor: int, code: str, shown: str) -> None:
    assert format_money(minor, code) == shown


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("JPY", 0),
        ("CLP", 0),
        ("XAF", 0),
        ("EUR", 2),
        ("HUF", 2),
        ("IQD", 3),
        ("UYW", 4),
        ("ETH", 9),
    ],
)
def test_a_currency_has_the_minor_unit_of_iso_4217(code: str, exponent: int) -> None:
    assert currency(code).exponent == exponent


@pytest.mark.parametrize("code", ["XAU", "XTS", "XXX", "XAD", "XDR", "ZZZ", "usdd", None])
def test_what_is_no_money_is_refused(code: object) -> None:
    with pytest.raises(InvalidRequest):
        currency(code)


@pytest.mark.parametrize(
    ("minor", "code", "shown"),
    [
        (-123_456, "EUR", "-1,234.56"),
        (4890, "JPY", "4,890"),
        (5, "BTC", "0.00000005"),
        (0, "KWD", "0.000"),
    ],
)
def test_a_figure_has_the_decimals_of_its_currency(minor: int, code: str, shown: str) -> None:
    assert to_figure(minor, code) == shown


@pytest.mark.parametrize(
    ("minor", "code", "written"),
    [
        (123456, "EUR", "1234.56"),
        (-5, "USD", "-0.05"),
        (5, "JPY", "5"),
        (5, "BTC", "0.00000005"),
        (0, "BTC", "0.00000000"),
    ],
)
def test_an_amount_in_a_file_is_written_out(minor: int, code: str, written: str) -> None:
    assert to_plain(minor, code) == written
