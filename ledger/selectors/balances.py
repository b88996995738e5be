"""Balances as the portal shows them: a merchant's money by where it is, a reseller's earnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from core.context import Actor
from ledger.chart import BY_NAME
from ledger.selectors.accounts import accounts_visible

#: Where a merchant's money is, with the word for it on every page.
WORDS: Final = {
    BY_NAME["merchant_available"].code: "Available",
    BY_NAME["merchant_pending"].code: "Pending",
    BY_NAME["merchant_reserve"].code: "In reserve",
    BY_NAME["disputes"].code: "Held for disputes",
}
EARNINGS: Final = BY_NAME["reseller_residual"].code
_AVAILABLE: Final = BY_NAME["merchant_available"].code


@dataclass(slots=True)
class Standing:
    """One currency, in minor units: merchants' money by account code, and the reseller's own.

    What payouts on their way have reserved is left out of what is available.
    """

    currency: str
    accounts: int = 0
    earnings_minor: int = 0
    by_code: dict[int, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))


def standings(*, actor: Actor, first: str = "") -> list[Standing]:
    """The balances in every currency that has seen money; `first` leads, the alphabet follows.

    Who has no currency of their own, as resellers, begins with the one of most accounts.
    """
    found: dict[str, Standing] = {}
    rows = accounts_visible(actor).filter(code__in=[*WORDS, EARNINGS])
    for code, currency, credited, debited, reserved in rows.values_list(
        "code", "currency", "credits_posted", "debits_posted", "debits_pending"
    ):
        standing = found.setdefault(currency, Standing(currency))
        standing.accounts += 1
        difference = credited - debited - (reserved if code == _AVAILABLE else 0)
        if code == EARNINGS:
            standing.earnings_minor += difference
        else:
            standing.by_code[code] += difference
    rows_by_name = sorted(found.values(), key=lambda row: row.currency)
    if not first and rows_by_name:
        first = max(rows_by_name, key=lambda row: row.accounts).currency
    return sorted(rows_by_name, key=lambda row: row.currency != first)
