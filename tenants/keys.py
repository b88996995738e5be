"""The text of API keys and other bearer secrets: made, recognised and digested here.

An API key reads ``mk_{sk|rk|pk}_{live|test}_`` followed by an 8-character look-up id, 43 base62
characters (256 bits) and a 6-character CRC-32 checksum. The checksum refuses a typo without a query
and lets secret scanners recognise a leaked key; it proves nothing. What is stored is
HMAC-SHA256(pepper, text): the text has full entropy, so a slow hash would buy nothing and cost
230 ms a request. Peppers are versioned (``settings.API_KEY_PEPPERS``): the newest one signs, older
ones still verify.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LOOKUP_ID_LENGTH: Final = 8
SECRET_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
_SHAPE: Final = re.compile(
    r"mk_(?P<kind>sk|rk|pk)_(?P<mode>live|test)_"
    r"(?P<lookup_id>[0-9A-Za-z]{8})(?P<secret>[0-9A-Za-z]{43})(?P<checksum>[0-9A-Za-z]{6})"
)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A well-formed API key: its parts and the full text (never log or store ``text``)."""

    text: str
    kind: str
    livemode: bool
    lookup_id: str

    @property
    def hint(self) -> str:
        """The last four characters, by which a person distinguishes keys."""
        return self.text[-4:]


@dataclass(frozen=True, slots=True)
class Digest:
    """What is stored instead of a bearer secret."""

    value: bytes
    pepper_version: int


def _base62(number: int, length: int) -> str:
    """``number`` in base 62, left-padded to ``length`` (higher digits are dropped)."""
    digits = []
    for _ in range(length):
        number, remainder = divmod(number, 62)
        digits.append(ALPHABET[remainder])
    return "".join(reversed(digits))


def checksum(body: str) -> str:
    """The CRC-32 (ISO 3309) of ``body`` as six base62 characters."""
    return _base62(zlib.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def generate(*, kind: str, livemode: bool, seed: bytes | None = None) -> KeyText:
    """A new key. ``seed`` (at least 48 bytes) makes it reproducible; only demo data passes one."""
    if seed is None:
        lookup_id = "".join(secrets.choice(ALPHABET) for _ in range(LOOKUP_ID_LENGTH))
        secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    else:
        if len(seed) < 48:
            raise ValueError("The seed of a key needs at least 48 bytes.")
        lookup_id = _base62(int.from_bytes(seed[:8], "big"), LOOKUP_ID_LENGTH)
        secret = _base62(int.from_bytes(seed[8:48], "big"), SECRET_LENGTH)
    body = f"mk_{kind}_{'live' if livemode else 'test'}_{lookup_id}{secret}"
    return KeyText(text=body + checksum(body), kind=kind, livemode=livemode, lookup_id=lookup_id)


def parse(text: str) -> KeyText | None:
    """The parts of a well-formed key, or ``None`` for anything else; touches no database."""
    match = _SHAPE.fullmatch(text)
    if match is None or checksum(text[:-CHECKSUM_LENGTH]) != match["checksum"]:
        return None
    return KeyText(
        text=text,
        kind=match["kind"],
        livemode=match["mode"] == "live",
        lookup_id=match["lookup_id"],
    )


def looks_like_key(text: str) -> bool:
    """Whether ``text`` claims to be an API key, well-formed or not."""
    return text.startswith("mk_")


def versioned(entries: Iterable[str], *, setting: str) -> dict[int, bytes]:
    """Read a setting of ``version:secret`` entries, newest first, as secrets by version.

    Raises ImproperlyConfigured for an entry without a number or a secret, and for an empty list.
    """
    found: dict[int, bytes] = {}
    for entry in entries:
        version, colon, secret = entry.partition(":")
        if not colon or not version.isdigit() or not secret:
            raise ImproperlyConfigured(f'{setting} needs entries of the form "version:secret".')
        found[int(version)] = secret.encode()
    if not found:
        raise ImproperlyConfigured(f"{setting} is empty: give at least one version:secret.")
    return found


@lru_cache(maxsize=4)
def _read_peppers(entries: tuple[str, ...]) -> dict[int, bytes]:
    return versioned(entries, setting="API_KEY_PEPPERS")


def _peppers() -> dict[int, bytes]:
    return _read_peppers(tuple(settings.API_KEY_PEPPERS))


def digest(text: str, *, purpose: str, pepper_version: int | None = None) -> Digest:
    """The keyed digest of a bearer secret; ``purpose`` keeps digests of different uses apart."""
    peppers = _peppers()
    version = max(peppers) if pepper_version is None else pepper_version
    message = f"{purpose}:{text}".encode()
    return Digest(hmac.digest(peppers[version], message, hashlib.sha256), version)


def digests(text: str, *, purpose: str) -> list[bytes]:
    """The digests of ``text`` under every configured pepper, newest first, for look-ups."""
    return [
        digest(text, purpose=purpose, pepper_version=version).value
        for version in sorted(_peppers(), reverse=True)
    ]


def matches(text: str, *, purpose: str, stored: bytes, pepper_version: int) -> bool:
    """Whether ``text`` is the secret behind ``stored``; constant time, unknown pepper is no."""
    if pepper_version not in _peppers():
        return False
    candidate = digest(text, purpose=purpose, pepper_version=pepper_version).value
    return hmac.compare_digest(candidate, bytes(stored))


def random_token() -> str:
    """256 bits for a link or a refresh token, safe in a URL."""
    return secrets.token_urlsafe(32)
