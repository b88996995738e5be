"""What an example is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """What an operation answers (without the envelope), and what it is sent for it."""

    title: str
    response: Any
    request: dict[str, Any] | None = None
