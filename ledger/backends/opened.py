"""The accounts that this process has seen open.

None is ever deleted, so what was open once need not be opened again: that is a quarter of what a
single posting costs, and on a cluster two writes to PostgreSQL beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID


class OpenedAccounts:
    """A bounded memory of accounts by where they are kept: a database's or a cluster's name."""

    LIMIT: Final = 50_000

    def __init__(self) -> None:
        self._seen: set[tuple[str, UUID]] = set()

    def holds(self, place: str, account: UUID) -> bool:
        return (place, account) in self._seen

    def add(self, place: str, accounts: Iterable[UUID]) -> None:
        """Only of what is committed: a rollback takes an account with it."""
        if len(self._seen) > self.LIMIT:
            self._seen.clear()
        self._seen.update((place, account) for account in accounts)


OPENED: Final = OpenedAccounts()
