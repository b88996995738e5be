"""Which lines of a statement are wanted, as a clause of its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.chart import TransferCode
from ledger.flags import TransferFlags

_HOLDS: Final = TransferFlags.PENDING | TransferFlags.VOID_PENDING | TransferFlags.EXPIRED
#: Fixed text for the query; `code` 0, which no transfer has, means every kind.
WANTED: Final = "AND flags & %(hidden)s = 0 AND %(code)s IN (0, code)"


@dataclass(frozen=True, slots=True)
class StatementFilter:
    """Without `holds` only what changed the posted balance; with `code` one kind of transfer."""

    holds: bool = True
    code: TransferCode | None = None

    @property
    def params(self) -> dict[str, int]:
        return {"hidden": 0 if self.holds else int(_HOLDS), "code": int(self.code or 0)}


EVERY_LINE: Final = StatementFilter()
