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

_SEPARATORS: Final = r"\s\-‐-―._/\u200b-\u200d\u2060\ufeff"
_RUN: Final = re.compile(rf"\d(?:[{_SEPARATORS}]{{0,2}}\d){{12,}}")
_GROUP: Final = re.compile(r"\d+")
_LONG_GROUP: Final = re.compile(r"\d{13,}", re.ASCII)
# A separator that lists use too (commas, colons, wide gaps) separates a card's groups only where
# they are as on the card, the separator is one throughout, and no list goes on before or behind.
# Of lists of four four-digit numbers 3 in 100 read like a card (see `_glued`).
_LAYOUT: Final = re.compile(
    rf"(?<!\d)\d{{4}}(?:(?P<a>[{_SEPARATORS},:;|]{{1,5}})\d{{4}}(?P=a)\d{{4}}(?P=a)\d{{4}}"
    rf"(?:(?P=a)\d{{3}})?(?!\d|(?P=a)\d)"
    rf"|(?P<b>[{_SEPARATORS},:;|]{{1,5}})\d{{6}}(?P=b)\d{{4,5}}(?!\d|(?P=b)\d))"
)
# The second track: number, separator (D where it is written in hex), expiry YYMM, service code.
# A random digest of 64 hex digits has thirteen digits, a D and seven digits somewhere in
# 44 x (10/16)^20 / 16 = 1 of 4,400; with a month, an issuer's length and Luhn in 1 of two million.
_TRACK_2: Final = re.compile(r"(?<=\d{13})[Dd=](?=\d{2}(?:0[1-9]|1[0-2])\d{3})", re.ASCII)
_TRACK_DATA: Final = re.compile(r"\d+[fF]?", re.ASCII)
# Digests, UUIDs, timestamps and our public ids hold long digit runs by chance; a card number is
# never part of one. Thirty-two hex digits without a letter, or with F alone as padding, are no
# digest: one in three million is, (10/16)^32. Our ids (`core.ids`; those made before 3084 begin
# with 0) are UUIDs of version 7, or 5, whose version and variant show in the base32.
_TOKEN: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:(?![0-9]{13,}[fF]*(?![0-9A-Za-z]))[0-9a-fA-F]{32,}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?Z?"
    r"|(?P<id>[a-z]{2,8}_0[0-9a-hjkmnp-tv-z]{9}[abef][0-9a-hjkmnp-tv-z]{2}[89abrstv]"
    r"[0-9a-hjkmnp-tv-z]{12}))(?![0-9A-Za-z])"
)
_IBAN: Final = re.compile(
    r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![0-9A-Za-z])"
)
# An expiry (MMYY, MMYYYY, YYMM) with or without a CVC, glued to a number.
_EXPIRY: Final = re.compile(
    r"(?:(?:0[1-9]|1[0-2])(?:20)?[2-5]\d|[2-5]\d(?:0[1-9]|1[0-2]))(?:\d{3,4})?"
)
# For the quick look: every digit as 0, without what may separate digits (all beyond ASCII too).
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"000000000")
_SEPARATOR_BYTES: Final = b" \t\n\r\v\f\x1c\x1d\x1e\x1f-._/,:;|" + bytes(range(0x80, 0x100))
_MAY_BE_DIGIT: Final = re.compile(rb"[\xd9-\xf4]")
_E164_MAX_DIGITS: Final = 15
_SHORTEST: Final = 13
_MASK_PASSES: Final = 4
MASK: Final = "[card number]"


def contains_card_number(text: str) -> bool:
    """Say whether `text` holds 13–19 digits that pass Luhn, also when grouped by spaces or dashes.

    So do a card's groups with other separators, the second track of its stripe, and its number with
    expiry, CVC or another number glued to it. Numbers that no card scheme issues are let through: a
    leading 0, a leading 1 other than UATP's 15 digits (millisecond timestamps have 13), telephone
    numbers written with `+`, and IBANs.
    """
    return next(_spans(text), None) is not None


def mask_card_numbers(text: str) -> str:
    """`text` with every card number in it replaced by `[card number]`; mostly the same object."""
    # Again: digits beside a number may read like one when that is gone.
    for _ in range(_MASK_PASSES):
        spans = sorted(_spans(text))
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for start, stop in spans:
            if stop <= end:
                continue
            if start >= end:
                parts += [text[end:start], MASK]
            end = stop
        text = "".join([*parts, text[end:]])
    # Made to be looked at for ever.
    return MASK if contains_card_number(text) else text


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
    """Where card numbers stand, in no order; spans may overlap."""
    # Most texts are short or hold few digits, and this is asked of every text that is written.
    if len(text) < _SHORTEST or not may_contain_card_number(text.encode(errors="replace")):
        return
    yield from _track_spans(text)
    text = _TOKEN.sub(
        lambda found: found[0] if _id_holds_card(found) else "x" * len(found[0]), text
    )
    text = _IBAN.sub(lambda found: "x" * len(found[0]) if _is_iban(found[0]) else found[0], text)
    for run in _RUN.finditer(text):
        is_phone = text[max(0, run.start() - 1) : run.start()] == "+"
        groups = list(_GROUP.finditer(text, run.start(), run.end()))
        for first, last in _windows([_ascii_digits(g.group()) for g in groups], is_phone=is_phone):
            yield groups[first].start(), groups[last].end()
    yield from _layout_spans(text)


def _id_holds_card(found: re.Match[str]) -> bool:
    """Whether what is shaped like an id of ours ends in a card number: one in 100 million does.

    Before the version's letter there are ten characters, behind it fifteen.
    """
    if found["id"] is None:
        return False
    return any(
        _issued(run[first : first + length])
        for run in _LONG_GROUP.findall(found["id"])
        for length in range(13, len(run) + 1)
        for first in range(len(run) - length + 1)
    )


def _track_spans(text: str) -> Iterator[tuple[int, int]]:
    for separator in _TRACK_2.finditer(text):
        middle = separator.start()
        data = _TRACK_DATA.match(text, separator.end())
        for length in range(13, 20):
            number = text[max(0, middle - length) : middle]
            if number.isascii() and number.isdigit() and _issued(number):
                yield middle - len(number), data.end() if data else separator.end()


def _layout_spans(text: str) -> Iterator[tuple[int, int]]:
    for found in _LAYOUT.finditer(text):
        separator = found["a"] or found["b"]
        before = text[max(0, found.start() - len(separator) - 1) : found.start()]
        list_goes_on = before.endswith(separator) and before[:1].isdigit()
        number = _ascii_digits("".join(_GROUP.findall(found[0])))
        if not list_goes_on and _issued(number):
            yield found.span()


def _is_iban(text: str) -> bool:
    """Check ISO 13616's check digits: all but 1 of 97 other numbers fail."""
    compact = text.replace(" ", "")
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _windows(groups: list[str], *, is_phone: bool) -> Iterator[tuple[int, int]]:
    """First and last group of each card number.

    "order 77 4242 4242 4242 4242 12/29": it may start and end at any group of the run.
    """
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += groups[last]
            if first == last and _glued(digits):
                yield first, last
            if len(digits) > 19:
                break
            if is_phone and first == 0 and _may_be_phone(digits):
                continue
            if _plausible(digits) and luhn_valid(digits):
                yield first, last


def _may_be_phone(digits: str) -> bool:
    """Whether the digits after a `+` can be a telephone number (ITU-T E.164).

    No numbering plan whose country code begins as a card of 14 or 15 digits (30, 34, 36 to 39) has
    as many; of 13 digits, which begin with 4, Austria and Germany have some.
    """
    if len(digits) > _E164_MAX_DIGITS:
        return False
    return len(digits) == _SHORTEST or not _issued(digits)


def _plausible(digits: str) -> bool:
    if not 13 <= len(digits) <= 19 or digits[0] == "0":
        return False
    return digits[0] != "1" or len(digits) == 15


def _issued(digits: str) -> bool:
    """Whether a number has an issuer's beginning, the length that goes with it, and passes Luhn."""
    return len(digits) in _lengths(digits) and luhn_valid(digits)


def _lengths(digits: str) -> tuple[int, ...]:
    """The lengths of the card numbers that begin so (ISO/IEC 7812-1; the schemes' ranges)."""
    two, four = digits[:2], digits[:4]
    if digits[:1] == "4":
        return (13, 16, 19)
    if "51" <= two <= "55" or "2221" <= four <= "2720" or two == "35":
        return (16,)
    if two in ("34", "37"):
        return (15,)
    if two in ("36", "38", "39") or "3000" <= four <= "3059":
        return (14,)
    # Maestro, Discover, UnionPay.
    return (16, 19) if digits[:1] == "6" else ()


def _glued(digits: str) -> bool:
    """Whether a number of 14 to 16 digits begins a longer group and is followed by what belongs to
    a card: CVC, expiry with or without it, or another number.

    Of random digits 40 % begin as an issuer's, 4 % pass Luhn too. That 4 % is refused of numbers
    with as many more digits as a CVC; 0.4 % where an expiry may follow, 0.1 % where a number may.
    """
    at = numbers = 0
    while True:
        length = next((each for each in _lengths(digits[at : at + 4]) if 14 <= each <= 16), 0)
        if not length or not _issued(digits[at : at + length]):
            return False
        at, numbers = at + length, numbers + 1
        left = len(digits) - at
        if left == 0:
            return numbers > 1
        if left == (4 if length == 15 else 3) or _EXPIRY.fullmatch(digits, at):
            return True
