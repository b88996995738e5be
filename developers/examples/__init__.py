"""Requests and answers as the API reference shows them, made of the shapes that rooms declare.

A test holds each against its schema.
"""

from __future__ import annotations

from typing import Final

from developers.examples.example import Example
from developers.examples.money import MONEY
from developers.examples.platform import PLATFORM

__all__ = ["EXAMPLES", "Example"]

#: By operation id.
EXAMPLES: Final[dict[str, Example]] = {**MONEY, **PLATFORM}
