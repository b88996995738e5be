from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation


class JsonOnly(BaseContentNegotiation):
    """The API speaks JSON whatever the Accept header says; errors must be readable to anybody."""

    def select_parser(self, request: Any, parsers: Iterable[Any]) -> Any:
        # The strict parser also reads a body without a content type: it judges the bytes.
        return next(iter(parsers))

    def select_renderer(
        self, request: Any, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
