"""Cells of the files that people open in a spreadsheet."""

from __future__ import annotations

from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """A cell that a spreadsheet would run as a formula gets an apostrophe in front (OWASP)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
