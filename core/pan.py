"""Detection of card numbers in free text (PCI DSS 4.0, requirement 3.2).

Merchants paste card numbers into descriptions and metadata. What is never stored can never leak:
what a person writes is refused whole, what others send us is stored with the number masked. Which
column does which is stated beside the columns (`core.card_columns`); errors and logs mask.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from core.card_ranges import card_lengths
from core.errors import InvalidRequest

_INVISIBLE: Final = r"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_SEPARATORS: Final = rf"\s\-‐-―._/{_INVISIBLE}"
_RUN: Final = re.compile(rf"\d(?:[{_SEPARATORS}]{{0,2}}\d){{12,}}")
_GROUP: Final = re.compile(rf"\d+(?:[{_INVISIBLE}]+\d+)*")
_NO_DIGITS: Final = re.compile(r"\D+")
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
# Numbers that carry a check digit of their own and whose groups may read like a card's: IBANs and
# creditors' references (ISO 11649), parcels of UPS and of USPS.
_CHECKED: Final = re.compile(
    r"(?=[A-Z19])(?<![0-9A-Za-z])(?:"
    r"(?P<ups>1Z[0-9A-Z]{16})"
    r"|(?P<iban>[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)"
    r"|(?P<usps>9[1-5][0-9]{2}(?: ?[0-9]{4}){4} ?[0-9]{2})"
    r")(?![0-9A-Za-z])"
)
# 13 digits that begin as Visa's or Maestro's: mobile telephones of Germany and Austria without
# their `+`, and articles (GTIN) of Germany, Japan, Britain and others. Visa's test numbers begin
# with 401288.
_MOBILE: Final = re.compile(r"491[5-7]\d{9}|436[5-9]\d{9}", re.ASCII)
_ARTICLE: Final = re.compile(r"(?:4(?!01288)|50)\d{11,12}", re.ASCII)
# An expiry (MMYY, MMYYYY, YYMM) with or without a CVC, glued to a number.
_EXPIRY: Final = re.compile(
    r"(?:(?:0[1-9]|1[0-2])(?:20)?[2-5]\d|[2-5]\d(?:0[1-9]|1[0-2]))(?:\d{3,4})?"
)
# For the quick look: every digit as 0, without what may separate digits (all beyond ASCII too).
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"000000000")
_SEPARATOR_BYTES: Final = b" \t\n\r\v\f\x1c\x1d\x1e\x1f-._/,:;|" + bytes(range(0x80, 0x100))
_MAY_BE_DIGIT: Final = re.compile(rb"[\xd9-\xf4]")
# For Luhn: each digit as its double's digit sum.
_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
# Groups that are printed on cards beside those of four, and how such numbers begin.
_PRINTED: Final[Mapping[tuple[int, ...], str]] = {
    (4, 6, 5): "3",
    (4, 6, 4): "3",
    (4, 5, 6): "1",
    (4, 4, 5): "4",
    (4, 3, 3, 3): "4",
    (6, 13): "6",
}
# Where gaps are in numbers of each length; people who type blanks leave some out.
_FOURS: Final = frozenset({4, 8, 12, 16})
_GAPS: Final[Mapping[int, tuple[frozenset[int], ...]]] = {
    13: (_FOURS,),
    14: (_FOURS, frozenset({4, 10})),
    15: (_FOURS, frozenset({4, 10})),
    16: (_FOURS, frozenset({6, 12})),
    17: (_FOURS,),
    18: (_FOURS,),
    19: (_FOURS, frozenset({6})),
}
#: Digits of the CVC behind a number, by the number's length; others have 3.
_CVC: Final[Mapping[int, int]] = {13: 0, 15: 4}
_SHORTEST: Final = 13
#: 13 digits and an expiry, or 14 and a CVC.
_SHORTEST_GLUED: Final = 17
_MASK_PASSES: Final = 4
MASK: Final = "[card number]"


def contains_card_number(text: str) -> bool:
    """Say whether `text` holds a number that an issuer may have given out.

    Such a number has an issuer's beginning, the length that goes with it (`core.card_ranges`) and
    the right Luhn digit, and is written as cards are: unbroken, in fours, or in the groups that its
    scheme prints, with blanks, dashes, dots, slashes or line breaks between them. Where the gaps
    are blanks, some may be missing; digits may be spelled one by one or in pairs. A card's groups
    with other separators count too, and so do the second track of its stripe, and its number with
    expiry, CVC or another number glued to it.

    Let through are numbers of 13 digits that are a telephone number (with `+`, or a German or
    Austrian mobile) or an article number (GTIN), IBANs, and parcel numbers of UPS and USPS.
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
    raw = digits.encode()
    total = sum(raw[-1::-2]) + sum(raw[-2::-2].translate(_DOUBLED))
    return (total - len(raw) * ord("0")) % 10 == 0


def _refusal(param: str) -> InvalidRequest:
    return InvalidRequest(
        "This field seems to hold a card number. Card numbers are never accepted here: create a "
        "token with POST /v1/tokens and send its id instead.",
        code="card_number_refused",
        param=param,
    )


def _ascii_digits(text: str) -> str:
    """The digits of a text, whatever their script, without what is between them."""
    if text.isascii():
        return text if text.isdigit() else _NO_DIGITS.sub("", text)
    return "".join(str(int(char)) for char in text if char.isdecimal())


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand, in no order; spans may overlap."""
    # Most texts are short or hold few digits, and this is asked of every text that is written.
    if len(text) < _SHORTEST or not may_contain_card_number(text.encode(errors="replace")):
        return
    yield from _track_spans(text)
    text = _TOKEN.sub(
        lambda found: found[0] if _id_holds_card(found) else "x" * len(found[0]), text
    )
    text = _CHECKED.sub(lambda found: "x" * len(found[0]) if _checks(found) else found[0], text)
    for run in _RUN.finditer(text):
        is_phone = text[max(0, run.start() - 1) : run.start()] == "+"
        groups = _groups(text, run)
        for first, last in _windows(groups, is_phone=is_phone):
            yield groups[first].start, groups[last].end
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
        number = _ascii_digits(found[0])
        if not list_goes_on and (found["a"] or number[0] == "3") and _issued(number):
            yield found.span()


def _checks(found: re.Match[str]) -> bool:
    """Whether the number's own check digits are right: 1 in 10 are by chance, of IBANs 1 in 97."""
    if found["usps"] is not None:
        return _gs1_valid(found["usps"].replace(" ", ""))
    if found["ups"] is not None:
        values = [int(c) if c.isdigit() else (ord(c) - 63) % 10 for c in found["ups"][2:]]
        return (sum(values[0:15:2]) + 2 * sum(values[1:15:2]) + values[15]) % 10 == 0
    compact = found["iban"].replace(" ", "")
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _gs1_valid(digits: str) -> bool:
    """Check the last digit as GS1 computes it: of GTINs, and of USPS's parcels."""
    values = [int(char) for char in reversed(digits)]
    return (sum(values[0::2]) + 3 * sum(values[1::2])) % 10 == 0


class _Group(NamedTuple):
    """Digits that nothing visible divides."""

    digits: str
    start: int
    end: int
    #: Whether only blanks are between it and the group before.
    after_blank: bool


def _groups(text: str, run: re.Match[str]) -> list[_Group]:
    groups: list[_Group] = []
    end = run.start()
    for found in _GROUP.finditer(text, run.start(), run.end()):
        start = found.start()
        blank = text[end:start].isspace()
        end = found.end()
        groups.append(_Group(_ascii_digits(found[0]), start, end, blank))
    return groups


def _windows(groups: list[_Group], *, is_phone: bool) -> Iterator[tuple[int, int]]:
    """First and last group of each card number.

    "order 77 4242 4242 4242 4242 12/29": it may start and end at any group of the run.
    """
    digits = "".join(group.digits for group in groups)
    ends = {
        end: index
        for index, end in enumerate(itertools.accumulate(len(each.digits) for each in groups))
    }
    at = 0
    for first, group in enumerate(groups):
        for length in card_lengths(digits[at : at + 4]):
            last = ends.get(at + length)
            number = digits[at : at + length]
            if last is None or not luhn_valid(number):
                continue
            unbroken = first == last
            if length == _SHORTEST and _is_other_number(
                number, is_phone=is_phone and first == 0, unbroken=unbroken
            ):
                continue
            if unbroken or _is_written_as_a_card(number, groups[first : last + 1]):
                yield first, last
        if len(group.digits) >= _SHORTEST_GLUED and _glued(group.digits):
            yield first, first
        at += len(group.digits)


def _is_other_number(digits: str, *, is_phone: bool, unbroken: bool) -> bool:
    """Whether 13 digits are more likely a telephone's or an article's than a card's.

    No telephone number (ITU-T E.164) that begins as a card of 14 or 15 digits has as many. Visa
    issues no more numbers of 13 digits; of those that it issued, one in ten passes GS1's check too.
    """
    if is_phone or _MOBILE.fullmatch(digits):
        return True
    return unbroken and _ARTICLE.fullmatch(digits) is not None and _gs1_valid(digits)


def _is_written_as_a_card(digits: str, groups: list[_Group]) -> bool:
    sizes = tuple(len(group.digits) for group in groups)
    has_blanks = all(group.after_blank for group in groups[1:])
    size, rest = sizes[0], sizes[-1]
    is_even = rest <= size and all(each == size for each in sizes[:-1])
    if is_even and (size in (1, 2, 4) or (size == 3 and has_blanks)):
        return True
    if digits[0] == _PRINTED.get(sizes):
        return True
    gaps = set(itertools.accumulate(sizes[:-1]))
    return has_blanks and any(gaps <= printed for printed in _GAPS[len(digits)])


def _issued(digits: str) -> bool:
    """Whether a number has an issuer's beginning, the length that goes with it, and passes Luhn."""
    return len(digits) in card_lengths(digits) and luhn_valid(digits)


def _glued(digits: str) -> bool:
    """Whether a number begins a longer group and is followed by what belongs to a card: CVC, expiry
    with or without it, or another number.

    Of random digits 40 % begin as an issuer's, 4 % pass Luhn too. That 4 % is refused of numbers
    with as many more digits as a CVC; 0.4 % where an expiry may follow, 0.1 % where a number may.
    Behind 13 digits no CVC is looked for, and nothing behind the 15 of a scheme other than American
    Express: that would be a tenth of the numbers of 16 digits that begin with 4, and of the ids of
    19 that begin with 1.
    """
    seen, todo = set[int](), [0]
    while todo:
        at = todo.pop()
        for length in card_lengths(digits[at : at + 4]):
            end = at + length
            left = len(digits) - end
            if left < 0 or (length == 15 and digits[at] != "3") or not luhn_valid(digits[at:end]):
                continue
            if left == 0:
                if at:
                    return True
            elif left == _CVC.get(length, 3) or _EXPIRY.fullmatch(digits, end):
                return True
            elif left >= _SHORTEST and end not in seen:
                seen.add(end)
                todo.append(end)
    return False
