"""What is answered before Django is asked: in the API's envelope, or in a sentence for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.api.renderers import dump, failure


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An answer that needs no view: `status`, the API's error type and code, a sentence."""

    status: int
    type: str
    code: str
    message: str
    retry_after_s: int | None = None

    def answer(self, *, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body for the face that the path belongs to."""
        if path.startswith("/v1/"):
            kind = b"application/json"
            body = dump(failure(type=self.type, code=self.code, message=self.message))
        else:
            kind, body = b"text/plain; charset=utf-8", f"{self.message}\n".encode()
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(self.retry_after_s).encode()))
        # The rest of a body that is not read must not be taken for the next request.
        headers.append((b"connection", b"close"))
        return self.status, headers, body


def too_large(limit_bytes: int) -> Refusal:
    """413: the body is longer than any request may be."""
    return Refusal(
        413,
        "invalid_request_error",
        "payload_too_large",
        f"The body is larger than {limit_bytes} bytes.",
    )


def repeated_header(name: str) -> Refusal:
    """400: two values where one is meant."""
    return Refusal(
        400,
        "invalid_request_error",
        "header_repeated",
        f"The header {name} came more than once. Send it once.",
    )


BODY_LATE: Final = Refusal(
    408,
    "invalid_request_error",
    "body_timeout",
    "The body did not arrive in time. Send the whole request at once.",
)
BUSY: Final = Refusal(
    503,
    "api_error",
    "busy",
    "Too many requests wait for an answer. Try again in a moment, with the same Idempotency-Key.",
    retry_after_s=1,
)
FAILED: Final = Refusal(
    500,
    "api_error",
    "internal_error",
    "Something went wrong on our side. Try again; if it stays, contact support.",
)
