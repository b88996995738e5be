"""The request as Django reads it (PEP 3333), from headers that mean one thing each.

Two spellings end in one place of a WSGI environment (`X-Forwarded-For` and `X_Forwarded_For`), and
so do two lines of one header. A proxy that set the first and passed on the second would then vouch
for what a stranger wrote. So names with an underscore are dropped, as nginx does, and a header that
has one value by definition is refused when it comes twice (RFC 9110, 5.3).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]
Headers = Iterable[tuple[bytes, bytes]]

#: One value by definition, or read by us as one: a second line is a contradiction.
_SINGLE: Final = frozenset(
    {
        b"api-key",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"origin",
        b"referer",
        b"traceparent",
        b"transfer-encoding",
        b"user-agent",
        b"x-csrftoken",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-request-id",
    }
)
_SINGLE_PREFIXES: Final = (b"x-merchantry-", b"webhook-")
#: As providers call the header that proves their webhooks.
_SINGLE_SUFFIX: Final = b"-signature"
_BARE: Final = frozenset({b"content-type", b"content-length"})


class RepeatedHeader(ValueError):
    """A header that has one value came with several; `name` is the header's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_headers(lines: Headers) -> dict[bytes, bytes]:
    """One value for each name; lower-case names, repeated list values joined with commas.

    Raises:
        RepeatedHeader: a header with one value came twice.
    """
    found: dict[bytes, bytes] = {}
    for spelt, value in lines:
        name = spelt.lower()
        if b"_" in name:
            continue
        if name not in found:
            found[name] = value
        elif name in _SINGLE or name.startswith(_SINGLE_PREFIXES) or name.endswith(_SINGLE_SUFFIX):
            raise RepeatedHeader(name.decode("latin-1"))
        else:
            # HTTP/2 may send a cookie in several lines (RFC 9113, 8.2.3).
            found[name] += (b"; " if name == b"cookie" else b", ") + value
    return found


@lru_cache(maxsize=1_024)
def _key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if name in _BARE else f"HTTP_{key}"


def environ(
    scope: Mapping[str, Any] | MutableMapping[str, Any], headers: Mapping[bytes, bytes], body: bytes
) -> Environ:
    """The WSGI environment of an ASGI request whose body has arrived.

    `RAW_URI` is the target as it was on the wire, path and query, percent-encoding untouched.
    """
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    server = scope.get("server") or ("localhost", 80)
    peer = scope.get("client") or ("", 0)
    made: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": (raw_path + b"?" + query if query else raw_path).decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": str(peer[0]),
        "REMOTE_PORT": str(peer[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        made[_key(name)] = value.decode("latin-1")
    # What has arrived is the length, whatever was announced; a chunked body announces none.
    if body or b"content-length" in headers:
        made["CONTENT_LENGTH"] = str(len(body))
    made.pop("HTTP_TRANSFER_ENCODING", None)
    return made
