"""Web addresses that a browser is sent to: what merchants give as the way back to their shop."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?")
_MAX_NAME: Final = 253


def web_origin(address: str) -> str:
    """The origin (`https://shop.example:8443`) of an absolute http or https address.

    The host becomes part of a page's security policy, so nothing may stand there that a policy
    reads as something else; and what no browser can open is refused where it is given.

    Raises:
        ValueError: no such address; its text says in one sentence why.
    """
    if not address.isprintable() or any(char.isspace() for char in address):
        raise ValueError("A URL holds no spaces or control characters: percent-encode them.")
    try:
        parts = urlsplit(address)
    except ValueError:
        raise ValueError("The URL's host is not valid.") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("Give an absolute URL that begins with https:// or http://.")
    _check_authority(parts)
    return f"{parts.scheme}://{parts.netloc}"


def _check_authority(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError("The URL must not hold a user name or password.")
    if not parts.netloc.isascii():
        raise ValueError("Write an international host name in its ASCII form (xn--…).")
    found = _AUTHORITY.fullmatch(parts.netloc)
    if found is None or not _is_host(found["host"]):
        raise ValueError("The URL's host is not valid.")
    if found["port"] is not None and not 1 <= int(found["port"]) <= 65_535:
        raise ValueError("The URL's port is not valid.")


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_address(ipaddress.IPv6Address, host[1:-1])
    if host.rstrip(".").rpartition(".")[2].isdigit():
        # A browser reads a name that ends in a number as an IPv4 address (WHATWG URL, 3.5).
        return _is_address(ipaddress.IPv4Address, host)
    return len(host) <= _MAX_NAME and _NAME.fullmatch(host) is not None


def _is_address(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], text: str) -> bool:
    try:
        # A zone (fe80::1%eth0) means something on one machine alone.
        return "%" not in text and bool(kind(text))
    except ValueError:
        return False
