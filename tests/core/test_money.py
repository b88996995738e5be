"""Amounts for people's eyes."""

from __future__ import annotations

import pytest

from core.money import format_money


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
