"""CSV files that people open in a spreadsheet.

UTF-8 with a byte-order mark, without which Excel takes it for the country's old code page. No cell
is run as a formula (OWASP, "CSV injection"): also not where a spreadsheet trims it, reads
full-width signs as ASCII, or splits lines at semicolons and tabs, as those of half of Europe do.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Final

BOM: Final = "\ufeff"
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
#: Where a formula may begin: at the start, whatever is trimmed there, and behind what may divide.
_FORMULA: Final = re.compile(
    r"((?:^|[;,\t|\r\n])[\s\"'\x00-\x20\u200b-\u200f\ufeff]*)(?=[=+\-@＝＋－＠])"
)


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


class Sheet:
    """Makes the lines of a file; the first has the byte-order mark."""

    def __init__(self, header: Iterable[str]) -> None:
        self._writer = csv.writer(_Line())
        self.first_line: str = BOM + self._writer.writerow(header)

    def line(self, cells: Iterable[object]) -> str:
        """One line; None is an empty cell, and texts are harmless."""
        row = [harmless(cell) if isinstance(cell, str) else cell for cell in cells]
        return str(self._writer.writerow(row))


def harmless(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would run; numbers stay numbers."""
    if _NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(r"\1'", text)
