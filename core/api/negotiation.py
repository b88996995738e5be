from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation

from core.errors import InvalidRequest


class JsonOnly(BaseContentNegotiation):
    """JSON whatever the Accept header says; every client must be able to read an error."""

    def select_parser(self, request: Any, parsers: Iterable[Any]) -> Any:
        """The parser of a body, which may come without a Content-Type: it judges the bytes.

        Raises:
            InvalidRequest: the body says that it is something else, or that it is compressed.
        """
        parser = next(iter(parsers))
        coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if coding not in ("", "identity"):
            raise InvalidRequest(
                f"A body in the Content-Encoding {coding[:64]!r} is not read: send it as it is.",
                code="content_encoding_unsupported",
                param="Content-Encoding",
            )
        given = (request.content_type or "").partition(";")[0].strip().lower()
        if given not in ("", parser.media_type):
            raise InvalidRequest(
                f"The Content-Type is {given[:64]!r}: send the body as {parser.media_type}.",
                code="content_type_unsupported",
                param="Content-Type",
            )
        return parser

    def select_renderer(
        self, request: Any, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
