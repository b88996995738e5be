"""A guard that keeps card numbers out of free text (PCI DSS 4.0, requirement 3.2).

Merchants paste card numbers into descriptions and metadata. What is never stored can never leak, so
such a request is refused whole; the number itself is repeated neither in the error nor in a log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from core.errors import InvalidRequest

_SEPARATOR: Final = r"[\s\-‐-―._/\u200b-\u200d\u2060\ufeff]{0,2}"
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}\d){{12,}}")
_GROUP: Final = re.compile(r"\d+")
# Digests and UUIDs hold long digit runs by chance; a card number is never part of one.
_HEX_TOKEN: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{32,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"(?![0-9A-Za-z])"
)
_E164_MAX_DIGITS: Final = 15


def contains_card_number(text: str) -> bool:
    """Say whether `text` holds 13–19 digits that pass Luhn, also when grouped by spaces or dashes.

    Numbers that no card scheme issues are let through: a leading 0, a leading 1 other than UATP's
    15 digits (millisecond timestamps have 13), and telephone numbers written with `+`.
    """
    text = _HEX_TOKEN.sub(" ", text)
    for run in _RUN.finditer(text):
        is_phone = text[max(0, run.start() - 1) : run.start()] == "+"
        groups = [_ascii_digits(group) for group in _GROUP.findall(run.group())]
        if _any_window_is_card(groups, is_phone=is_phone):
            return True
    return False


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


def without_card_number(text: str, instead: str = "[removed: card number]") -> str:
    """`text` as it is, or `instead` of the whole when it holds a card number."""
    return instead if contains_card_number(text) else text


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


def _any_window_is_card(groups: list[str], *, is_phone: bool) -> bool:
    # "order 77 4242 4242 4242 4242 12/29": the card may start and end at any group of the run.
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > 19:
                break
            if is_phone and first == 0 and len(digits) <= _E164_MAX_DIGITS:
                continue
            if _plausible(digits) and luhn_valid(digits):
                return True
    return False


def _plausible(digits: str) -> bool:
    if not 13 <= len(digits) <= 19 or digits[0] == "0":
        return False
    return digits[0] != "1" or len(digits) == 15
