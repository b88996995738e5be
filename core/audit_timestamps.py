"""Time stamps of the audit log's anchor, by a time-stamping authority (TSA, RFC 3161).

The TSA signs a digest together with its own time. An attacker with the database, the key and the
anchor can compute all three again, but gets only stamps of that day for them.

A stamp is kept as the response that came (DER), so that an auditor needs no code of ours:
`openssl ts -verify -in stamp.tsr -data line.txt -CAfile roots.pem`.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509
from django.core.exceptions import ImproperlyConfigured
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from core import deadline
from core.audit_anchor_lines import AnchorUnavailable, StampRefused

TRIES: Final = 2
#: For one try: to connect, and for each piece of the answer.
TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 64 * 1024
#: What the library lets through of its parsers' errors, found by changing bytes at random.
_UNREADABLE: Final = (
    ValueError,
    OverflowError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_REQUEST_TYPE: Final = "application/timestamp-query"


class TimeStampAuthority:
    """A TSA and the root certificates that its stamps must lead to.

    Args:
        url: where it takes requests; empty where stamps are only checked.
        roots: a PEM file. Certificates in between come with the stamps.

    Raises:
        ImproperlyConfigured: no certificates can be read from there.
    """

    def __init__(self, url: str, roots: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        try:
            self._roots = x509.load_pem_x509_certificates(roots.read_bytes())
        except (OSError, ValueError) as error:
            raise ImproperlyConfigured(
                f"AUDIT_TIMESTAMP_ROOTS, {roots}: {error}. It is a PEM file of certificates."
            ) from error

    def stamp(self, text: bytes) -> bytes:
        if not self.url:
            raise AnchorUnavailable("AUDIT_TIMESTAMPS names no authority")
        request = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256).build()
        answer = self._asked(request.as_bytes())
        try:
            # The nonce is in this answer alone: one recorded earlier is refused.
            _check(VerifierBuilder.from_request(request), self._roots, answer, text)
        except StampRefused as error:
            raise AnchorUnavailable(f"{self.url} answered with a stamp that {error}") from error
        return answer

    def checked(self, stamp: bytes, text: bytes) -> datetime:
        return _check(VerifierBuilder(), self._roots, stamp, text)

    def _asked(self, request: bytes) -> bytes:
        for left in reversed(range(TRIES)):
            try:
                return self._asked_once(request)
            except httpx.HTTPError as error:
                if not left:
                    raise AnchorUnavailable(
                        f"{self.url} gave no time stamp: {type(error).__name__} {error}"
                    ) from error
        raise AssertionError("unreachable")

    def _asked_once(self, request: bytes) -> bytes:
        timeout_s = deadline.cap_s(self.timeout_s)
        ends_at = time.monotonic() + timeout_s
        answer = b""
        with httpx.stream(
            "POST",
            self.url,
            content=request,
            headers={"Content-Type": _REQUEST_TYPE},
            timeout=timeout_s,
        ) as response:
            response.raise_for_status()
            for piece in response.iter_bytes():
                answer += piece
                # A server that sends a byte a second never runs into the time-out of a piece.
                if time.monotonic() > ends_at or len(answer) > MAX_BYTES:
                    raise httpx.ReadTimeout("the answer is too long or too slow")
        return answer


def _check(
    builder: VerifierBuilder, roots: list[x509.Certificate], stamp: bytes, text: bytes
) -> datetime:
    """When a text was stamped. Raises StampRefused, whose text goes on "a stamp that …"."""
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)
    verifier: Verifier = builder.build()
    try:
        response = decode_timestamp_response(stamp)
        verifier.verify_message(response, text)
        return response.tst_info.gen_time
    except VerificationError as error:
        raise StampRefused(f"is not to be trusted: {error}") from error
    except _UNREADABLE as error:
        raise StampRefused(f"cannot be read: {error}") from error
