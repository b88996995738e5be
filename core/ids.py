"""Prefixed, time-ordered public ids: `pay_01k…` (TypeID 0.3: UUIDv7 in Crockford base32).

The database keeps the 16-byte UUID; the prefix and the text belong to the faces.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import uuid
from typing import Final

import uuid_utils

from core.errors import NotFound

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26
#: What follows a prefix and its underscore, as a regular expression.
TEXT_PATTERN: Final = "[0-9a-hjkmnp-tv-z]{26}"
#: Two letters at once: ids are written some dozens of times in a request.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id() -> uuid.UUID:
    """A fresh UUIDv7: ids made later sort later, which keeps index inserts at the right edge."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def first_id(moment: dt.datetime, *, slack_s: int = 0) -> uuid.UUID:
    """The smallest id of a moment: what was made from then on has a larger one.

    An index by id then answers for a span of time. A row's `created_at` is read a moment after its
    id is made: `slack_s` goes back by so much (forward, where it is negative).
    """
    return _smallest(int(moment.timestamp() * 1000) - slack_s * 1000)


def ids_after(value: uuid.UUID, span: dt.timedelta) -> tuple[uuid.UUID, uuid.UUID]:
    """The smallest ids of the moment at which `value` was made, and of `span` later."""
    made_ms = value.int >> 80
    return _smallest(made_ms), _smallest(made_ms + int(span.total_seconds() * 1000))


def _smallest(made_ms: int) -> uuid.UUID:
    # The upper 48 bits of a UUIDv7 are the milliseconds.
    return uuid.UUID(int=min(max(made_ms, 0), (1 << 48) - 1) << 80)


@functools.lru_cache(maxsize=4_096)
def encode(prefix: str, value: uuid.UUID) -> str:
    """The public form of an id, e.g. `pay_01k2…`."""
    number = value.int
    pairs = [_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def encode_or_none(prefix: str, value: uuid.UUID | None) -> str | None:
    """The public form of an id that may be missing."""
    return None if value is None else encode(prefix, value)


def decode_or_none(prefix: str, text: object) -> uuid.UUID | None:
    """Read a public id back; None where it has another prefix or is no id at all."""
    expected = f"{prefix}_"
    if isinstance(text, str) and text.startswith(expected) and len(text) == len(expected) + _LENGTH:
        number = 0
        for letter in text[len(expected) :]:
            value = _VALUES.get(letter)
            if value is None:
                break
            number = (number << 5) | value
        else:
            if number < 1 << 128:
                return uuid.UUID(int=number)
    return None


def is_public(text: str) -> bool:
    """Whether a text is an id, of whatever object."""
    return decode_or_none(text.partition("_")[0], text) is not None


def pasted(prefix: str, text: str) -> uuid.UUID | None:
    """What a person may have pasted for an object: its public id, or the bare UUID."""
    found = decode_or_none(prefix, text)
    if found is None:
        with contextlib.suppress(ValueError):
            found = uuid.UUID(text)
    return found


def decode(prefix: str, text: object, *, param: str | None = None) -> uuid.UUID:
    """Read a public id back; `param` names the parameter that it came in.

    Raises:
        NotFound: another prefix, or not an id at all. To the caller such an object does not exist,
            just as a foreign tenant's does not.
    """
    found = decode_or_none(prefix, text)
    if found is not None:
        return found
    raise NotFound(
        f"No object has the id {text!r}."
        if isinstance(text, str) and len(text) <= 64
        else "That is not an id of an object here.",
        code="resource_missing",
        param=param,
    )
