"""The trial balance as a person reads it: by currency, in words, with its totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.money import format_money
from ledger.chart import BY_CODE
from ledger.selectors.accounts import TrialLine, currency_of, trial_balance


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One line of the chart; amounts posted, ready to read."""

    code: int
    title: str
    accounts: int
    debits: str
    credits: str


@dataclass(slots=True)
class CurrencyBooks:
    """All accounts of one currency and mode. Amounts in minor units."""

    currency: str
    lines: list[TrialLine] = field(default_factory=list)

    @property
    def rows(self) -> list[TrialRow]:
        """By account code."""
        return [
            TrialRow(
                code=line.code,
                title=BY_CODE[line.code].title if line.code in BY_CODE else "Not in the chart",
                accounts=line.accounts,
                debits=format_money(line.debits_posted, self.currency),
                credits=format_money(line.credits_posted, self.currency),
            )
            for line in self.lines
        ]

    @property
    def accounts(self) -> int:
        """How many there are."""
        return sum(line.accounts for line in self.lines)

    @property
    def debits_minor(self) -> int:
        """Posted."""
        return sum(line.debits_posted for line in self.lines)

    @property
    def credits_minor(self) -> int:
        """Posted."""
        return sum(line.credits_posted for line in self.lines)

    @property
    def balanced(self) -> bool:
        """Whether every debit has its credit."""
        return self.debits_minor == self.credits_minor

    @property
    def debits(self) -> str:
        """Ready to read."""
        return format_money(self.debits_minor, self.currency)

    @property
    def credits(self) -> str:
        """Ready to read."""
        return format_money(self.credits_minor, self.currency)

    @property
    def difference(self) -> str:
        """Debits less credits, ready to read."""
        return format_money(self.debits_minor - self.credits_minor, self.currency)


def books_by_currency(*, livemode: bool) -> list[CurrencyBooks]:
    """What was booked in one mode (staff, workers)."""
    return by_currency(trial_balance(livemode=livemode))


def by_currency(lines: Iterable[TrialLine]) -> list[CurrencyBooks]:
    """Lines of one mode, by currency in the order of the alphabet."""
    found: dict[str, CurrencyBooks] = {}
    for line in lines:
        currency = currency_of(line.ledger)
        found.setdefault(currency, CurrencyBooks(currency)).lines.append(line)
    return [found[currency] for currency in sorted(found)]
