"""Requests and answers as the API reference shows them; a test holds each against its schema."""

from __future__ import annotations

from typing import Final

from developers.examples.money import MONEY
from developers.examples.platform import PLATFORM
from developers.examples.shapes import Example

__all__ = ["EXAMPLES", "Example"]

EXAMPLES: Final[dict[str, Example]] = {**MONEY, **PLATFORM}
