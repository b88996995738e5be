"""Detection of card numbers in free text (PCI DSS 4.0, requirement 3.2).

Merchants paste card numbers into descriptions and metadata. What is never stored can never leak:
what a person writes is refused whole, what others send us is stored with the number masked. Which
column does which is stated beside the columns (`core.card_columns`); errors and logs mask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.errors import InvalidRequest

_SEPARATOR: Final = r"[\s\-‐-―._/\u200b-\u200d\u2060\ufeff]{0,2}"
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}\d){{12,}}")
_GROUP: Final = re.compile(r"\d+")
# Digests, UUIDs and our public ids (`core.ids`; those made before 3084 begin with 0) hold long
# digit runs by chance; a card number is never part of one.
_TOKEN: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{32,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|[a-z]{2,8}_0[0-9a-hjkmnp-tv-z]{25})(?![0-9A-Za-z])"
)
# For the quick look: every digit as 0, without what may separate digits (all beyond ASCII too).
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"000000000")
_SEPARATOR_BYTES: Final = b" \t\n\r\v\f\x1c\x1d\x1e\x1f-._/" + bytes(range(0x80, 0x100))
_MAY_BE_DIGIT: Final = re.compile(rb"[\xd9-\xf4]")
_E164_MAX_DIGITS: Final = 15
_SHORTEST: Final = 13
MASK: Final = "[card number]"


def contains_card_number(text: str) -> bool:
    """Say whether `text` holds 13–19 digits that pass Luhn, also when grouped by spaces or dashes.

    Numbers that no card scheme issues are let through: a leading 0, a leading 1 other than UATP's
    15 digits (millisecond timestamps have 13), and telephone numbers written with `+`.
    """
    return next(_spans(text), None) is not None


def mask_card_numbers(text: str) -> str:
    """`text` with every card number in it replaced by `[card number]`; mostly the same object."""
    parts: list[str] = []
    end = 0
    for start, stop in _spans(text):
        if stop <= end:
            continue
        if start >= end:
            parts += [text[end:start], MASK]
        end = stop
    return text if not parts else "".join([*parts, text[end:]])


def mask_in(value: Any, *, numbers: bool = False) -> Any:
    """A JSON value with the card numbers in its strings and keys masked; the same object mostly.

    Args:
        numbers: mask JSON numbers too; sums of ours may have as many digits.
    """
    if isinstance(value, str):
        return mask_card_numbers(value)
    if isinstance(value, Mapping):
        masked = {
            mask_card_numbers(str(key)): mask_in(item, numbers=numbers)
            for key, item in value.items()
        }
        return masked if masked != value else value
    if isinstance(value, list | tuple):
        items = [mask_in(item, numbers=numbers) for item in value]
        return value if items == list(value) else items
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return MASK if contains_card_number(str(value)) else value
    return value


def may_contain_card_number(raw: bytes) -> bool:
    """A quick look at encoded text or JSON: False means that a search of it finds nothing."""
    if len(raw) < _SHORTEST:
        return False
    if b"0" * _SHORTEST in raw.translate(_DIGITS_AS_0, _SEPARATOR_BYTES):
        return True
    # JSON may escape separators and digits, and there are digits outside ASCII.
    return b"\\" in raw or (not raw.isascii() and _MAY_BE_DIGIT.search(raw) is not None)


def refuse_card_numbers(value: Any, param: str) -> None:
    """Walk strings, numbers, lists and mappings (keys too); raise InvalidRequest on a card number.

    `param` names the field in the error; nested places are named `metadata.key` or `items[2]`.
    """
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if contains_card_number(str(key)):
                raise _refusal(param)
            refuse_card_numbers(item, f"{param}.{key}")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            refuse_card_numbers(item, f"{param}[{index}]")
    elif contains_card_number(str(value)):
        raise _refusal(param)


def luhn_valid(digits: str) -> bool:
    """Check the Luhn digit (ISO/IEC 7812-1 annex B) of a string of ASCII digits."""
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = int(char)
        if position % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0


def _refusal(param: str) -> InvalidRequest:
    return InvalidRequest(
        "This field seems to hold a card number. Card numbers are never accepted here: create a "
        "token with POST /v1/tokens and send its id instead.",
        code="card_number_refused",
        param=param,
    )


def _ascii_digits(group: str) -> str:
    return "".join(str(int(char)) for char in group)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand, by their start; spans of one run may overlap."""
    # Most texts are short or hold few digits, and this is asked of every text that is written.
    if len(text) < _SHORTEST or not may_contain_card_number(text.encode(errors="replace")):
        return
    text = _TOKEN.sub(lambda token: "x" * len(token.group()), text)
    for run in _RUN.finditer(text):
        is_phone = text[max(0, run.start() - 1) : run.start()] == "+"
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        for first, last in _windows([_ascii_digits(g.group()) for g in groups], is_phone=is_phone):
            yield groups[first].start(), groups[last].end()


def _windows(groups: list[str], *, is_phone: bool) -> Iterator[tuple[int, int]]:
    """First and last group of each card number.

    "order 77 4242 4242 4242 4242 12/29": it may start and end at any group of the run.
    """
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += groups[last]
            if len(digits) > 19:
                break
            if is_phone and first == 0 and len(digits) <= _E164_MAX_DIGITS:
                continue
            if _plausible(digits) and luhn_valid(digits):
                yield first, last


def _plausible(digits: str) -> bool:
    if not 13 <= len(digits) <= 19 or digits[0] == "0":
        return False
    return digits[0] != "1" or len(digits) == 15
