"""Who really calls, behind reverse proxies: resolved once, before anything else looks.

A proxy of ours (TRUSTED_PROXIES) names its client in X-Forwarded-For. The client may have sent that
header too, but each proxy appends the address that it saw; so the list is read from its right end,
and the first hop that is no proxy of ours is the caller. Anything further left is untrusted client
input. With no trusted proxies the header is ignored, and the peer is the caller; if the header
comes all the same, the process logs once that TRUSTED_PROXIES may be missing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase

log = structlog.get_logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AsgiApp = Callable[..., Awaitable[Any]]

HEADER: Final = "X-Forwarded-For"


def caller_address(peer: str, forwarded_for: str) -> str:
    """The caller's address, from the peer's and the X-Forwarded-For that came with it.

    A hop that is no address (or the end of the list) leaves the last proxy as the caller.
    """
    trusted = _trusted_proxies()
    if forwarded_for and not trusted:
        _warn_once()
    return _caller(peer, forwarded_for, trusted)


@lru_cache(maxsize=4_096)
def _caller(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    found = peer
    for hop in reversed(forwarded_for.split(",")):
        if not _is_trusted(found, trusted):
            break
        address = _parse(hop)
        if address is None:
            break
        found = str(address)
    return found


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address, which `ClientAddressMiddleware` has put there; None on a socket."""
    return request.META.get("REMOTE_ADDR") or None


def client_network(request: HttpRequest) -> str:
    """The network of the request's caller, by which limits count; see `network_of`."""
    return network_of(client_ip(request) or "")


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Whom a limit by address counts: of IPv6 the /64, which one line holds whole (RFC 6177)."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


class ClientAddressMiddleware:
    """Puts the caller's address into REMOTE_ADDR; the first entry of MIDDLEWARE."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        _trusted_proxies()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        forwarded = request.headers.get(HEADER)
        if forwarded:
            peer = request.META.get("REMOTE_ADDR", "")
            request.META["REMOTE_ADDR"] = caller_address(peer, forwarded)
        return self.get_response(request)


class ClientAddresses:
    """ASGI middleware: the same for websockets, in `scope["client"]`; the outermost one."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        name = HEADER.lower().encode()
        lines = [value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name]
        if lines and scope.get("client"):
            peer, port = scope["client"]
            scope = {**scope, "client": [caller_address(peer, ",".join(lines)), port]}
        return await self.app(scope, receive, send)


@lru_cache(maxsize=4_096)
def _parse(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, or (IPv6) in brackets."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_trusted(peer: str, trusted: Iterable[Network]) -> bool:
    address = _parse(peer)
    return address is not None and any(
        address.version == network.version and address in network for network in trusted
    )


@lru_cache(maxsize=1)
def _warn_once() -> None:
    log.warning(
        "proxies.none_trusted",
        reason="X-Forwarded-For arrives while TRUSTED_PROXIES is empty: if it comes from a proxy of"
        " yours, name it there, or all callers share the proxy's address and its limits.",
    )


def _trusted_proxies() -> tuple[Network, ...]:
    return _networks(tuple(settings.TRUSTED_PROXIES))


@lru_cache(maxsize=8)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(entry.strip()) for entry in entries)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"TRUSTED_PROXIES takes addresses and networks by commas (10.0.0.0/8): {error}."
        ) from None
