"""Amounts: taken in, shared out, and written; currencies as ISO 4217 counts them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from core.errors import InvalidRequest
from core.money import (
    MAX_AMOUNT_MINOR,
    Currency,
    Money,
    currency,
    format_money,
    iso_currency,
    parse_amount,
    share_bps,
    to_figure,
    to_plain,
)


@pytest.mark.parametrize(
    ("minor", "code", "shown"),
    [
        (976, "BHD", "BHD\u00a00.976"),
        (-976, "BHD", "-BHD\u00a00.976"),
        (4890, "CHF", "CHF\u00a048.90"),
        (4890, "EUR", "€48.90"),
        (4890, "CAD", "CA$48.90"),
        (5, "BTC", "0.00000005 BTC"),
        (4890, "JPY", "¥4,890"),
        (976, "IQD", "IQD\u00a00.976"),  # CLDR shows it without decimals
        (1_234_567, "UYW", "UYW\u00a0123.4567"),
    ],
)
def test_letters_and_figures_stand_apart(minor: int, code: str, shown: str) -> None:
    assert format_money(minor, code) == shown


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


@pytest.mark.parametrize(
    ("minor", "bps", "share"),
    [
        (10_000, 290, 290),
        (49, 100, 0),
        (50, 100, 1),  # half a minor unit goes up,
        (150, 100, 2),
        (250, 100, 3),  # also to an odd figure
        (1, 4_999, 0),
        (1, 5_000, 1),
        (7_777, 10_000, 7_777),
        (7_777, 0, 0),
        (MAX_AMOUNT_MINOR, 1, 100_000_000),
    ],
)
def test_a_share_is_rounded_half_up_once(minor: int, bps: int, share: int) -> None:
    assert share_bps(minor, bps) == share


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("EUR", 2),
        ("jpy", 0),
        ("KWD", 3),
        ("IQD", 3),  # CLDR shows it with 0,
        ("HUF", 2),
        ("CLP", 0),
        ("XAF", 0),
        ("UYW", 4),
        ("USDT", 6),
        ("BTC", 8),
        ("ETH", 9),
    ],
)
def test_a_currency_counts_in_the_minor_unit_of_iso_4217(code: str, exponent: int) -> None:
    assert currency(code) == Currency(code.upper(), exponent)


@pytest.mark.parametrize(
    "code",
    ["XAU", "XTS", "XXX", "XAD", "XDR", "ZZZ", "usdd", "EU", "EUROS", "\u017fek", "", None, 978],
)
def test_what_is_not_money_is_no_currency(code: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        currency(code, param="sold")
    assert (refused.value.code, refused.value.param) == ("currency_unknown", "sold")


def test_a_card_pays_in_no_crypto_asset() -> None:
    assert iso_currency("eur") == Currency("EUR", 2)
    for code in ("USDT", "btc", "ETH"):
        with pytest.raises(InvalidRequest) as refused:
            iso_currency(code, param="sold")
        assert (refused.value.code, refused.value.param) == ("currency_unknown", "sold")


def test_currencies_and_amounts_do_not_change() -> None:
    for value, name in ((Currency("EUR", 2), "exponent"), (Money(1, "EUR"), "amount_minor")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 3)
        assert not hasattr(value, "__dict__")


def test_the_ceiling_is_the_last_amount_of_twelve_figures() -> None:
    assert MAX_AMOUNT_MINOR == 999_999_999_999


@pytest.mark.parametrize("value", [1, MAX_AMOUNT_MINOR])
def test_an_amount_is_an_integer_within_the_limits(value: int) -> None:
    assert parse_amount(value) == value


def test_a_minimum_of_zero_lets_zero_in() -> None:
    assert parse_amount(0, minimum=0) == 0


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "amount_too_small"),
        (-1, "amount_too_small"),
        (MAX_AMOUNT_MINOR + 1, "amount_too_large"),
        (1.0, "amount_not_integer"),
        ("1", "amount_not_integer"),
        (True, "amount_not_integer"),
        (None, "amount_not_integer"),
    ],
)
def test_any_other_amount_is_refused(value: object, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_amount(value)
    assert refused.value.code == code
