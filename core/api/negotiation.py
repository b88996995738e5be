from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation


class JsonOnly(BaseContentNegotiation):
    """The API speaks JSON whatever the Accept header says; errors must be readable to anybody."""

    def select_parser(self, request: Any, parsers: Sequence[Any]) -> Any:
        # The strict parser also reads a body without a content type: it judges the bytes.
        return parsers[0]

    def select_renderer(
        self, request: Any, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type
