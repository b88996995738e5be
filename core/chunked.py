"""Bodies that come in chunks, without a Content-Length.

Django reads as many bytes as Content-Length says, so under WSGI a chunked body reads as empty; and
an empty body means something ("capture everything"). This layer reads such a body, no further than
one byte past what Django accepts, and states its length: a larger one is refused for its length.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, Final

from core.api.renderers import dump, failure

#: Above every limit of ours for a body held in memory (the API takes 256 KiB, webhooks 1 MiB).
MAX_BYTES: Final = 2_097_152

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ChunkedBodies:
    """WSGI middleware; stands outermost."""

    def __init__(self, app: WsgiApp) -> None:
        self.app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or not environ.get("HTTP_TRANSFER_ENCODING"):
            return self.app(environ, start_response)
        if not environ.get("wsgi.input_terminated"):
            return _length_required(start_response)
        body = _read(environ["wsgi.input"])
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return self.app(environ, start_response)


def _read(stream: Any) -> bytes:
    pieces: list[bytes] = []
    left = MAX_BYTES + 1
    while left and (piece := stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _length_required(start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The server cannot tell where the body ends, so neither can we (RFC 9110, 15.5.12)."""
    body = dump(
        failure(
            type="invalid_request_error",
            code="length_required",
            message="Send the body with a Content-Length header.",
        )
    )
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("411 Length Required", headers)
    return [body]
