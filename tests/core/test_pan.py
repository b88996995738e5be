from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import time
import uuid
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ids
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
        ["4242", "4242424242424242", "378282246310005", "f" * 16, "D3112201", "1231",
         "0", "9", " ", "-", "\u200b", "\n",
         "x", "+", "４２４２", "٤٢٤٢", ",", ":", "pay_01k2v3w4x5y6z7a8b9c0d1e2f3", '"', "\\"]
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
        "4242,4242,4242,4242",
        "4242:4242:4242:4242",
        "4242|4242|4242|4242",
        "4242   4242   4242   4242",
        "4242 - 4242 - 4242 - 4242",
        "3782, 822463, 10005",
        "pay_0abc4242424242424242abcdef",
        "pay_01k2v3w4x5e378282246310005",
        "+378282246310005",
        "+30569309025904",
        "+4242424242424242",
    ],
)
def test_finds_a_card_number_however_it_is_written(text: str) -> None:
    assert contains_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242D31122010000000000000",
        "4242424242424242d3112201000000000000f",
        "57134242424242424242D31122010000000000000F",
        "4242424242424242=31122010000000000000",
        "4242424242424242ffffffffffffffff",
        "00004242424242424242d3112201",
    ],
    ids=["hex", "padded", "tagged", "text", "number alone", "short"],
)
def test_finds_the_number_in_a_second_track(text: str) -> None:
    assert contains_card_number(text)
    assert "424242424242" not in mask_card_numbers(text)


@pytest.mark.parametrize("number", ["4242424242424242", "5555555555554444", "378282246310005"])
@pytest.mark.parametrize("behind", ["1231", "3112", "122031", "1231123", "4000056655665556"])
def test_finds_a_number_with_what_belongs_to_it_glued_to_it(number: str, behind: str) -> None:
    assert mask_card_numbers(f"x{number}{behind}") == f"x{MASK}"


def test_finds_a_number_with_its_cvc_glued_to_it() -> None:
    assert mask_card_numbers("4242424242424242123, 3782822463100051234") == f"{MASK}, {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42424242424242429999",
        "4242424242424242000000000000",
        "2026, 4242, 4242, 4242, 4242",
        "DE95 4242 4242 4242 4242 42",
        "2026-11-30 05:08:32.123456",
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
        "pay_01k2v3w4x5e128242424242421",
        "acc_01k2v3w4x5a4288888888888abc",
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


def _numbers_of_others(rng: random.Random) -> Iterator[str]:
    """What is written every day and holds many digits."""
    random_bytes = rng.randbytes(16)
    yield str(uuid.UUID(bytes=random_bytes, version=4))
    yield random_bytes.hex()
    yield hashlib.sha256(random_bytes).hexdigest()
    yield ids.encode("pay", ids.new_id())
    at = dt.datetime.fromtimestamp(rng.uniform(0, 4e9), dt.UTC)
    yield at.isoformat()
    yield at.isoformat(sep=" ", timespec="seconds")
    yield at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    yield str(rng.randrange(1_000_000_000_000, 2_000_000_000_000))
    # The longest are Austria's, with 13 digits; E.164 allows 15.
    yield f"+{rng.randrange(10**10, 10**13)}"
    yield ids.encode("acc", uuid.uuid5(uuid.NAMESPACE_URL, random_bytes.hex()))
    country = rng.choice(["DE", "AT", "ES", "BE", "PL", "LT"])
    bank_account = str(rng.randrange(10**17, 10**18))
    rearranged = "".join(str(int(char, 36)) for char in f"{bank_account}{country}00")
    iban = f"{country}{98 - int(rearranged) % 97:02d}{bank_account}"
    yield iban
    yield " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


def test_what_is_written_every_day_is_never_refused() -> None:
    rng = random.Random(20261130)
    refused = [
        text
        for _ in range(20_000)
        for text in _numbers_of_others(rng)
        if contains_card_number(text)
    ]
    assert refused == []


@given(_TEXTS)
def test_nothing_is_found_in_a_masked_text(text: str) -> None:
    assert not contains_card_number(mask_card_numbers(text))


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242" * 10_000 + "9",
        "4242,4242,4242," * 10_000,
        "".join(f"4242{sep}4242{sep}4242{sep}" for sep in ",;|" * 3_000) + "4242424242424242",
        "4242424242424242D3112201" * 10_000,
    ],
    ids=["digits", "list", "chain", "tracks"],
)
def test_long_texts_cost_what_their_length_does(text: str) -> None:
    """Else one request would hold a process for minutes; the limit is far from either."""
    began = time.thread_time()
    assert not contains_card_number(mask_card_numbers(text))
    assert time.thread_time() - began < 20


@given(_TEXTS)
def test_the_quick_look_misses_nothing(text: str) -> None:
    if contains_card_number(text):
        assert may_contain_card_number(text.encode())
        assert may_contain_card_number(orjson.dumps({"a": [text]}))
        assert may_contain_card_number(json.dumps({"a": [text]}).encode())
