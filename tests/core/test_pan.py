from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.pan import (
    MASK,
    contains_card_number,
    mask_card_numbers,
    mask_in,
    may_contain_card_number,
    refuse_card_numbers,
)

#: Whatever texts of digits and separators look like, with ids, escapes and letters among them.
_TEXTS = st.lists(
    st.sampled_from(
        ["4242", "4242424242424242", "378282246310005", "0", "9", " ", "-", "\u200b", "\n",
         "x", "+", "４２４２", "٤٢٤٢", "pay_01k2v3w4x5y6z7a8b9c0d1e2f3", '"', "\\"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


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
        "pay_04242424242424242abcdefgha",
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


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("paid with 4242 4242 4242 4242, 12/34", "paid with [card number], 12/34"),
        ("4242424242424242@shop.example", "[card number]@shop.example"),
        ("4242424242424242 and 378282246310005.", "[card number] and [card number]."),
        ("a4242-4242-4242-4242b", "a[card number]b"),
        ("nothing here 1234", "nothing here 1234"),
    ],
)
def test_masks_the_number_and_keeps_the_rest(text: str, masked: str) -> None:
    assert mask_card_numbers(text) == masked


def test_masks_strings_and_keys_and_numbers_where_asked() -> None:
    value = {"4242424242424242": [{"n": 4242424242424242, "s": "x 4242424242424242"}], "ok": True}
    assert mask_in(value) == {MASK: [{"n": 4242424242424242, "s": f"x {MASK}"}], "ok": True}
    assert mask_in(value, numbers=True) == {MASK: [{"n": MASK, "s": f"x {MASK}"}], "ok": True}
    sound = {"a": [1, "x"], "b": None}
    assert mask_in(sound) is sound


@given(_TEXTS)
def test_nothing_is_found_in_a_masked_text(text: str) -> None:
    assert not contains_card_number(mask_card_numbers(text))


@given(_TEXTS)
def test_the_quick_look_misses_nothing(text: str) -> None:
    if contains_card_number(text):
        assert may_contain_card_number(text.encode())
        assert may_contain_card_number(orjson.dumps({"a": [text]}))
        assert may_contain_card_number(json.dumps({"a": [text]}).encode())
