"""Outbound HTTP to addresses that customers name, guarded against request forgery (SSRF).

The name is resolved once, every address it has must be public, and the connection goes to exactly
the address that was judged, so a second DNS answer can change nothing. Redirects are answers, not
instructions; the whole exchange has one deadline and the answer a size cap. Python's
`ipaddress.is_global` calls several internal ranges global, hence the explicit lists below (IANA
special-purpose registries, RFC 6890 and updates, and the metadata addresses of clouds).
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import time
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import certifi
import httpcore
import httpx
from django.conf import settings

from core import deadline, names
from core.errors import InvalidRequest

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

DENIED_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Everything outside global unicast is refused: ::1, v4-mapped, v4-compatible, NAT64 (64:ff9b::/96
# and 64:ff9b:1::/48), unique local, link local, site local, multicast.
ALLOWED_V6: Final = ipaddress.IPv6Network("2000::/3")
DENIED_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_INSIDE_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".svc",
    ".cluster.local",
)
DEFAULT_TIMEOUT_S: Final = 15.0
DEFAULT_MAX_RESPONSE_BYTES: Final = 64 * 1024
MAX_URL_CHARS: Final = 2048


class OutboundRefusedError(Exception):
    """The address is not one we call. The message is safe to show to the customer."""


class OutboundFailedError(Exception):
    """No complete answer: DNS, connection, TLS, time. `reason` is a short machine word."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """An answer; `body` is cut at the size cap and `truncated` says so."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    duration_ms: int
    address: str


@dataclass(slots=True)
class _Exchange:
    """One request: when it must be over, and the address that was pinned for it."""

    ends_at: float
    allow_loopback: bool
    plain_http: bool
    address: str = field(default="")

    def remaining_s(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline passed")
        return left


def address_denied(address: Address, *, allow_loopback: bool = False) -> bool:
    """Say whether an address must not be called. An explicit list, see the module's docstring."""
    if allow_loopback and _is_loopback(address):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in DENIED_V4)
    return address not in ALLOWED_V6 or any(address in network for network in DENIED_V6)


def check_public_url(url: str, *, param: str = "url") -> None:
    """Refuse a customer's URL that we would never call; raise InvalidRequest that names why.

    Asks no name server, which may be slow or belong to the customer: it waits for nothing. Form,
    names that are internal, and addresses however they are written are judged here; where a name
    leads is judged on every call, as it can change after any check.
    """
    allow_loopback = loopback_allowed()
    try:
        parsed = _parse(url, allow_loopback=allow_loopback)
        host, plain_http = _host_of(parsed), parsed.scheme == "http"
        try:
            _judged(names.numeric(host), allow_loopback=allow_loopback, plain_http=plain_http)
        except names.NotResolved:
            # A name. Loopback alone may go without TLS, and no other name is known to lead there.
            if plain_http and not _is_localhost(host):
                raise OutboundRefusedError("The URL must start with https://") from None
    except OutboundRefusedError as error:
        raise InvalidRequest(str(error), code="url_not_allowed", param=param) from None


def guarded_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes = b"",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    body_timeout_s: float | None = None,
) -> OutboundResponse:
    """Send one request to a customer's address. Errors: OutboundRefusedError, OutboundFailedError.

    `timeout_s`, or what is left of the deadline, bounds the exchange as a whole, name and all, so a
    server that sends a byte a second is cut off. With `body_timeout_s` the status line is the
    answer: the body may take so long after it, and what has not come by then, or breaks off, is
    left out.
    """
    allow_loopback = loopback_allowed()
    timeout_s = deadline.cap_s(timeout_s)
    started = time.monotonic()
    parsed = _parse(url, allow_loopback=allow_loopback)
    exchange = _Exchange(
        ends_at=started + timeout_s,
        allow_loopback=allow_loopback,
        plain_http=parsed.scheme == "http",
    )
    pool = httpcore.ConnectionPool(
        ssl_context=_ssl_context(),
        network_backend=_PinnedBackend(exchange),
        max_connections=1,
        retries=0,
    )
    try:
        with (
            pool,
            pool.stream(
                method,
                _target(parsed),
                headers=[(b"Host", parsed.netloc), *_encoded(headers)],
                content=content,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write"), timeout_s)},
            ) as response,
        ):
            if body_timeout_s is not None:
                exchange.ends_at = min(exchange.ends_at, time.monotonic() + body_timeout_s)
            body, truncated = _read_capped(
                response, max_response_bytes, whole=body_timeout_s is None
            )
    except httpcore.TimeoutException:
        raise OutboundFailedError(
            f"No complete answer within {timeout_s:g} s.", reason="timeout"
        ) from None
    except (httpcore.ConnectError, ssl.SSLError, OSError) as error:
        raise OutboundFailedError(f"Could not connect: {_said(error)}", reason="connect") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise OutboundFailedError(
            f"The connection broke: {_said(error)}", reason="protocol"
        ) from None
    return OutboundResponse(
        status=response.status,
        headers=_decoded(response.headers),
        body=body,
        truncated=truncated,
        duration_ms=int((time.monotonic() - started) * 1000),
        address=exchange.address,
    )


def _target(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def _encoded(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    return ((name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items())


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def loopback_allowed() -> bool:
    """Say whether this process may call loopback (only a development stand may)."""
    return bool(getattr(settings, "ALLOW_LOOPBACK_WEBHOOKS", False))


def _is_loopback(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")


def _parse(url: str, *, allow_loopback: bool) -> httpx.URL:
    if len(url) > MAX_URL_CHARS:
        raise OutboundRefusedError(f"The URL is longer than {MAX_URL_CHARS} characters.")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise OutboundRefusedError("The URL holds spaces or control characters.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise OutboundRefusedError(
            "This is not a URL. Example: https://example.com/hooks"
        ) from None
    schemes = ("https", "http") if allow_loopback else ("https",)
    if parsed.scheme not in schemes:
        raise OutboundRefusedError("The URL must start with https://")
    if parsed.userinfo:
        raise OutboundRefusedError("The URL must not hold a user name or password.")
    if parsed.fragment:
        raise OutboundRefusedError("The URL must not hold a fragment (#…).")
    host = parsed.host.rstrip(".").lower()
    if not host:
        raise OutboundRefusedError("The URL has no host name.")
    if parsed.port is not None and not 1 <= parsed.port <= 65_535:
        raise OutboundRefusedError("The URL's port is not valid.")
    if allow_loopback and _is_localhost(host):
        return parsed
    if host == "localhost" or host.endswith(_INSIDE_SUFFIXES):
        raise OutboundRefusedError(
            "The URL names an internal host. Use one that the internet can reach."
        )
    if "." not in host and ":" not in host:
        raise OutboundRefusedError("The URL's host is not a full domain name such as example.com.")
    return parsed


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _host_of(parsed: httpx.URL) -> str:
    return parsed.raw_host.decode("ascii").strip("[]").rstrip(".").lower()


_MACHINE_WORDS = re.compile(r"^\[[^\]]+\] ?| \(_[a-z]+\.c:\d+\)$")


def _said(error: Exception) -> str:
    """What went wrong, without the numbers and file names that only we can read."""
    return _MACHINE_WORDS.sub("", str(error))


def _judged(addresses: names.Addresses, *, allow_loopback: bool, plain_http: bool) -> list[str]:
    """The addresses, each of which we may call. Raises OutboundRefusedError."""
    found: list[str] = []
    for each in addresses:
        text = each.partition("%")[0]
        address = ipaddress.ip_address(text)
        if address_denied(address, allow_loopback=allow_loopback):
            raise OutboundRefusedError(
                "The URL points to a private or special address. Use one on the public internet."
            )
        if plain_http and not _is_loopback(address):
            raise OutboundRefusedError("The URL must start with https://")
        if text not in found:
            found.append(text)
    return found


def _looked_up(host: str, *, timeout_s: float) -> names.Addresses:
    try:
        return names.look_up(host, timeout_s=timeout_s)
    except names.NotResolvedInTime as error:
        raise OutboundFailedError(str(error), reason="dns") from None
    except names.NotResolved as error:
        raise OutboundFailedError(
            f"The host name does not resolve: {_said(error)}", reason="dns"
        ) from None


def _read_capped(response: httpcore.Response, cap_bytes: int, *, whole: bool) -> tuple[bytes, bool]:
    """The body up to the cap, and whether some is missing; `whole` raises for what breaks off."""
    body = bytearray()
    try:
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > cap_bytes:
                return bytes(body[:cap_bytes]), True
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        if whole:
            raise
        return bytes(body), True
    return bytes(body), False


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    # Building a context reads the whole trust store (tens of milliseconds); one serves all calls.
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _PinnedBackend(httpcore.NetworkBackend):
    """Resolve, judge and connect in one place; nothing resolves the name a second time."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        exchange = self._exchange
        addresses = _judged(
            _looked_up(host.strip("[]"), timeout_s=exchange.remaining_s()),
            allow_loopback=exchange.allow_loopback,
            plain_http=exchange.plain_http,
        )
        error: httpcore.ConnectError | None = None
        # All were judged, so falling back to the second (IPv6 without a route) is safe.
        for address in addresses[:3]:
            try:
                stream = self._inner.connect_tcp(
                    address, port, timeout=exchange.remaining_s(), socket_options=socket_options
                )
            except httpcore.ConnectError as failure:
                error = failure
                continue
            exchange.address = address
            return _DeadlineStream(stream, exchange)
        raise error or httpcore.ConnectError("no address could be reached")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every read and write ends at the exchange's deadline."""

    def __init__(self, stream: httpcore.NetworkStream, exchange: _Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._exchange.remaining_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=self._exchange.remaining_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(
            ssl_context, server_hostname=server_hostname, timeout=self._exchange.remaining_s()
        )
        return _DeadlineStream(stream, self._exchange)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._stream.get_extra_info(info)
