"""Both errors of the guard: published test cards in every spelling, and 100,000 references."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from core.card_ranges import RANGES, CardRange
from core.pan import contains_card_number, luhn_valid, mask_card_numbers
from tests.core.published_cards import PUBLISHED
from tests.core.references import references

_SEPARATORS = (" ", "-", ".", "/", "_", "\n", "\r\n", "  ", "\u00a0", "\u2009", "\u200b", "\u00ad")
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def _parts(number: str, *sizes: int) -> list[str]:
    ends = itertools.accumulate(sizes, initial=0)
    return [number[first:last] for first, last in itertools.pairwise(ends)]


def _fours(number: str) -> list[str]:
    return [number[at : at + 4] for at in range(0, len(number), 4)]


def _as_printed(number: str) -> list[str]:
    """American Express, Diners Club and UATP print three groups, the others fours."""
    if len(number) in (14, 15) and number[0] == "3":
        return _parts(number, 4, 6, len(number) - 10)
    if len(number) == 15:
        return _parts(number, 4, 5, 6)
    return _fours(number)


def test_published_numbers_are_sound() -> None:
    assert len(PUBLISHED) > 250
    assert [number for number in PUBLISHED if not luhn_valid(number)] == []
    assert {len(number) for number in PUBLISHED} == {13, 14, 15, 16, 18, 19}


@pytest.mark.parametrize("separator", _SEPARATORS, ids=[repr(each) for each in _SEPARATORS])
def test_a_published_card_is_found_however_its_groups_are_divided(separator: str) -> None:
    missed = [
        text
        for number in PUBLISHED
        for groups in (_fours(number), _as_printed(number), list(number))
        if not contains_card_number(text := separator.join(groups))
    ]
    assert missed == []


@pytest.mark.parametrize(
    "form",
    [
        "{plain}",
        "{fours}",
        "Please charge {plain}, it is for order 12.",
        "my card is {fours} and it runs until 12/31",
        "order 77 {printed} 12/31 123",
        "{plain}\n12/31\n123",
        "x{plain}y",
        "https://shop.example/{plain}?card={dashes}",
        "{plain}@shop.example",
        '{{"number": {plain}}}',
        "{plain}=31122010000000000000",
        "{plain}D3112201f",
        "{full_width}",
        "{arabic}",
        "{halves}",
    ],
)
def test_a_published_card_is_found_wherever_it_is_written(form: str) -> None:
    missed = [
        text
        for number in PUBLISHED
        if not contains_card_number(
            text := form.format(
                plain=number,
                fours=" ".join(_fours(number)),
                printed=" ".join(_as_printed(number)),
                dashes="-".join(_fours(number)),
                halves=f"{number[:8]} {number[8:]}",
                full_width=number.translate(_FULL_WIDTH),
                arabic=number.translate(_ARABIC),
            )
        )
        or number in mask_card_numbers(text)
    ]
    assert missed == []


@pytest.mark.parametrize("behind", ["123", "1231", "3112", "122031", "1231123"])
def test_a_published_card_is_found_with_cvc_or_expiry_glued_to_it(behind: str) -> None:
    """Of 13 digits with an expiry; nothing is glued to UATP's."""
    missed = [
        number
        for number in PUBLISHED
        if number[0] != "1"
        and (len(number) > 13 or len(behind) > 3)
        and not contains_card_number(
            f"{number}{behind}{'4' if len(number) == 15 and behind == '123' else ''}"
        )
    ]
    assert missed == []


@pytest.mark.parametrize("issued", RANGES, ids=[each.scheme for each in RANGES])
def test_every_range_is_found_in_each_of_its_lengths(issued: CardRange) -> None:
    rng = random.Random(issued.scheme)
    for (first, last), length in itertools.product(issued.beginnings, issued.lengths):
        for beginning in {first, last, rng.randint(first, last)}:
            body = f"{beginning}{''.join(rng.choices('0123456789', k=length - 5))}"
            number = next(body + digit for digit in "0123456789" if luhn_valid(body + digit))
            assert contains_card_number("-".join(_fours(number))), number
            # Unbroken, one in ten of 13 digits is an article's.
            assert length == 13 or contains_card_number(number), number


def test_of_a_thousand_references_at_most_one_is_refused() -> None:
    refused = [text for _, text in references(20261130) if contains_card_number(text)]
    assert len(refused) <= 10, refused


def test_of_a_thousand_references_at_most_one_is_refused_of_any_draw() -> None:
    refused = Counter(
        kind for seed in range(10) for kind, text in references(seed) if contains_card_number(text)
    )
    assert refused.total() <= 100, refused
    assert [kind for kind in ("iban", "phone", "uuid", "article", "book") if refused[kind]] == []


@pytest.mark.parametrize(
    "text",
    [
        "20261130271764",
        "738902353240694486",
        "order-20261130-3178552",
        "402-4127806-0738959",
        "4711-20261130-0009",
        "4242-42424242-4242",
        "1Z4242963578336280",
        "9400 9695 3131 3008 8834 57",
        "4915165569547",
        "4006004488345",
        "1796013737515845844",
    ],
)
def test_what_is_no_card_by_its_issuer_its_length_or_its_groups_is_let_through(text: str) -> None:
    assert not contains_card_number(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # The same digits, divided as cards are and otherwise.
        ("4242-4242-4242-4242", True),
        ("424-2424-242424242", False),
        ("3782-822463-10005", True),
        ("37828-22463-10005", False),
        ("4242 42424242 4242", True),
        # What another number's own check digit makes of it.
        ("4006004488345", False),
        ("4222222222222", True),
        ("4012888818888", True),
        # An issuer's beginning, with a length that it does not issue.
        ("42424242384632483", False),
        ("55554128434920933", False),
    ],
)
def test_groups_check_digits_and_lengths_decide(text: str, found: bool) -> None:
    assert contains_card_number(text) is found
