from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.pan import contains_card_number, refuse_card_numbers


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "card: 4242.4242.4242.4242, thanks",
        "378282246310005",
        "3782 822463 10005",
        "order 77 4242 4242 4242 4242 12/29",
        "x4242424242424242y",
        "4242\u20094242\u20094242\u20094242",
        "４２４２４２４２４２４２４２４２",
        "6304000000000000000",
    ],
)
def test_finds_a_card_number_however_it_is_written(text: str) -> None:
    assert contains_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242424242424241",
        "order 4242",
        "1763715000005",
        "0000000000000000",
        "+4915123456789",
        "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069",
        "019aa5f0-4242-7242-8242-424242424242",
        "2026-11-21 09:08:32",
        "192.168.100.200",
        "4242,4242,4242,4242,4242,4242",
    ],
)
def test_lets_other_numbers_through(text: str) -> None:
    assert not contains_card_number(text)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"note": "4242424242424242"}, "metadata.note"),
        ({"a": {"b": ["x", "4242 4242 4242 4242"]}}, "metadata.a.b[1]"),
        ({"n": 4242424242424242}, "metadata.n"),
        ({"4242424242424242": "x"}, "metadata"),
    ],
)
def test_names_the_place_and_never_the_number(value: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse_card_numbers(value, "metadata")

    assert refused.value.param == param
    assert refused.value.code == "card_number_refused"
    assert "4242" not in refused.value.message


def test_accepts_ordinary_metadata() -> None:
    refuse_card_numbers({"order": "A-1", "n": 12, "ok": True, "none": None, "l": [1, "x"]}, "m")
