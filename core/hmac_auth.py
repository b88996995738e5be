"""HMAC-signed requests of services and devices.

The signature covers version, key id, timestamp, nonce, method, host, path, raw query, content
type, idempotency key and the SHA-256 of the raw body, joined by newlines; a newline inside a field
is refused, so that no two requests share one string. The path is signed in its one canonical
spelling (`canonical_path`), and a request that spells it otherwise on the wire is refused (RAW_URI
says how it was spelt). A signature is good for ±300 s and each nonce for one request: they are
unique in PostgreSQL, for a flushed cache must not let money move twice.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from core.db import Scope, fetch_one, tenant_atomic
from core.errors import AuthenticationFailed, InvalidRequest
from core.pan import contains_card_number

VERSION: Final = "v1"
TOLERANCE_S: Final = 300
NONCE_KEPT_S: Final = 900
NONCE_MIN_CHARS: Final = 16
NONCE_MAX_CHARS: Final = 64

HEADER_KEY_ID: Final = "X-Merchantry-Key-Id"
HEADER_TIMESTAMP: Final = "X-Merchantry-Timestamp"
HEADER_NONCE: Final = "X-Merchantry-Nonce"
HEADER_SIGNATURE: Final = "X-Merchantry-Signature"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The signed parts of a request; `path` is canonical, `query` as it was on the wire."""

    key_id: str
    timestamp: str
    nonce: str
    method: str
    host: str
    path: str
    query: str
    content_type: str
    idempotency_key: str
    body: bytes

    def canonical(self) -> bytes:
        """The bytes that are signed. Raises AuthenticationFailed when a field holds a newline."""
        fields = (
            VERSION,
            self.key_id,
            self.timestamp,
            self.nonce,
            self.method.upper(),
            self.host.lower(),
            self.path,
            self.query,
            self.content_type,
            self.idempotency_key,
            hashlib.sha256(self.body).hexdigest(),
        )
        if any("\n" in value or "\r" in value for value in fields):
            raise _refused("A signed field holds a line break.", "signature_malformed")
        return "\n".join(fields).encode()


def canonical_path(decoded: str) -> str:
    """The spelling of a decoded path that is signed: UTF-8, percent-encoded where it must be.

    Unreserved characters, sub-delimiters, `:`, `@` and `/` stand bare, all others are encoded with
    upper-case digits (RFC 3986, 2.1 and 3.3); `/a b/ü` is `/a%20b/%C3%BC`.
    """
    return quote(decoded, safe="/:@!$&'()*+,;=~")


def refuse_other_spelling(raw_target: str, *, decoded_path: str) -> None:
    """Refuse a request target whose path is not spelt as it is signed.

    A proxy or a log that compares paths as they are written would otherwise see another request
    than the one that was signed.

    Args:
        raw_target: path and query as they were on the request line.
        decoded_path: the path as the server hands it over.

    Raises:
        InvalidRequest: another spelling (``path_not_canonical``). An absolute URL would be one; the
            server answers it with 400 before (`core/serving/protocol.py`).
    """
    wanted = canonical_path(decoded_path)
    if raw_target.partition("?")[0] != wanted:
        raise InvalidRequest(
            f"Send a signed request to the path as it is signed, {wanted[:200]}: percent-encoded "
            "only where RFC 3986 asks for it, with upper-case digits.",
            code="path_not_canonical",
        )


def signature(secret: bytes, request: SignedRequest) -> str:
    """`v1=` and the hex HMAC-SHA256 of the canonical string."""
    return f"{VERSION}={hmac.new(secret, request.canonical(), hashlib.sha256).hexdigest()}"


def from_headers(
    headers: Mapping[str, str], *, method: str, host: str, path: str, query: str, body: bytes
) -> tuple[SignedRequest, str]:
    """Collect a request's signed parts and its signature; names are matched without case.

    `path` is the decoded one, as the server hands it over.

    Raises AuthenticationFailed when one of the four headers is missing.
    """
    found = {name.lower(): value for name, value in headers.items()}
    wanted = (HEADER_KEY_ID, HEADER_TIMESTAMP, HEADER_NONCE, HEADER_SIGNATURE)
    missing = [name for name in wanted if not found.get(name.lower())]
    if missing:
        raise _refused(
            f"The request is not signed: {', '.join(missing)} missing.", "signature_missing"
        )
    request = SignedRequest(
        key_id=found[HEADER_KEY_ID.lower()],
        timestamp=found[HEADER_TIMESTAMP.lower()],
        nonce=found[HEADER_NONCE.lower()],
        method=method,
        host=host,
        path=canonical_path(path),
        query=query,
        content_type=found.get("content-type", ""),
        idempotency_key=found.get("idempotency-key", ""),
        body=body,
    )
    return request, found[HEADER_SIGNATURE.lower()]


def verify(
    *, secret: bytes, request: SignedRequest, given: str, now_s: float | None = None
) -> None:
    """Check time and signature; raise AuthenticationFailed. The nonce is checked by `use_nonce`.

    The order matters: only a request that proved to know the secret may write a nonce.
    """
    now = time.time() if now_s is None else now_s
    if not request.timestamp.isascii() or not request.timestamp.isdigit():
        raise _refused(
            f"{HEADER_TIMESTAMP} must be seconds since 1970, digits only.", "signature_malformed"
        )
    if len(request.timestamp) > 12 or abs(now - int(request.timestamp)) > TOLERANCE_S:
        raise _refused(
            f"The request's timestamp is more than {TOLERANCE_S} s away from our clock. "
            "Check the sender's clock.",
            "signature_expired",
        )
    if not NONCE_MIN_CHARS <= len(request.nonce) <= NONCE_MAX_CHARS:
        raise _refused(
            f"{HEADER_NONCE} must have {NONCE_MIN_CHARS} to {NONCE_MAX_CHARS} characters.",
            "signature_malformed",
        )
    expected = signature(secret, request)
    if not hmac.compare_digest(expected.encode(), given.strip().encode()):
        raise _refused(
            "The signature does not match the request. Sign the path (percent-encoded only where "
            "RFC 3986 asks for it), the query and the body exactly as they are sent.",
            "signature_invalid",
        )


def sign_headers(
    *,
    key_id: str,
    secret: bytes,
    method: str,
    url: str,
    body: bytes = b"",
    content_type: str = "application/json",
    idempotency_key: str = "",
    now_s: float | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """Headers for a client that sends `body` to `url` (tests, `./dev demo`, our own callers)."""
    scheme_less = url.partition("://")[2]
    host, slash, rest = scheme_less.partition("/")
    path, _, query = (slash + rest).partition("?")
    request = SignedRequest(
        key_id=key_id,
        timestamp=str(int(time.time() if now_s is None else now_s)),
        nonce=nonce or secrets.token_urlsafe(18),
        method=method,
        host=host,
        path=canonical_path(unquote(path)) or "/",
        query=query,
        content_type=content_type,
        idempotency_key=idempotency_key,
        body=body,
    )
    headers = {
        HEADER_KEY_ID: key_id,
        HEADER_TIMESTAMP: request.timestamp,
        HEADER_NONCE: request.nonce,
        HEADER_SIGNATURE: signature(secret, request),
        "Content-Type": content_type,
    }
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    return {name: value for name, value in headers.items() if value}


def use_nonce(*, key_id: str, nonce: str) -> None:
    """Spend a nonce; raise AuthenticationFailed when it was spent before.

    Commits by itself (scope: auth), after `verify` and before anything moves. A request that fails
    afterwards is sent again with a new nonce and the same Idempotency-Key.
    """
    if contains_card_number(nonce):
        # A number drawn at random may read like a card's, so it is not refused.
        nonce = hashlib.sha256(nonce.encode()).hexdigest()
    with tenant_atomic(Scope.auth()):
        row = fetch_one(
            "INSERT INTO core_usednonce (key_id, nonce, seen_at)"
            " VALUES (%s, %s, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING id",
            [key_id, nonce],
        )
    if row is None:
        raise _refused(
            "This nonce was used before. Sign each request with a fresh one.", "signature_replayed"
        )


def _refused(message: str, code: str) -> AuthenticationFailed:
    return AuthenticationFailed(message, code=code)
