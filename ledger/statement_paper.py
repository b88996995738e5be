"""What `templates/paper/statement.typ` prints: an account's statement in words and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from babel.dates import format_date

from core.money import to_figure
from core.spans import Span
from ledger.models import Account


@dataclass(frozen=True, slots=True)
class PaperLine:
    """A line of the statement. `balance_minor` is null where the account keeps no history.

    Reservations and their release are not `posted`: they are printed and move no balance.
    """

    booked_at: datetime
    what: str
    about: str
    state: str
    amount_minor: int
    balance_minor: int | None
    posted: bool


def statement_data(
    *,
    account: Account,
    title: str,
    holder: str,
    kind: str,
    lines: Sequence[PaperLine],
    span: Span,
    issued_at: datetime,
) -> dict[str, Any]:
    """The statement's data, oldest line first.

    Args:
        holder: whose account it is.
        kind: the one kind of line that was asked for; empty for all.
        span: what was booked in it is in `lines`; whole days.
    """
    issued_on = issued_at.astimezone(UTC).date()
    until_on = (span.end - timedelta(days=1)).date() if span.end else issued_on
    return {
        "lang": "en",
        "title": f"Statement: {title}, {account.currency}",
        "issuer": "Merchantry",
        "holder": holder,
        "subject": account.public_id,
        "date": [issued_on.year, issued_on.month, issued_on.day],
        "issued": _day(issued_on),
        "live": account.livemode,
        "facts": [
            ("Account", account.public_id),
            ("From", _day((span.start or account.opened_at).date())),
            ("Currency", account.currency),
            ("To", _day(until_on)),
            ("Issued", _day(issued_on)),
            ("Lines", f"{len(lines):,}" + (f", {kind} only" if kind else "")),
        ],
        "figures": [] if kind else _figures(lines, account.currency),
        "columns": ["Booked (UTC)", "What", "State", "Amount", "Balance"],
        "empty": "Nothing was booked in this time.",
        "lines": [_cells(line, account.currency) for line in lines],
    }


def _cells(line: PaperLine, currency: str) -> tuple[str, ...]:
    return (
        f"{line.booked_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        line.what,
        line.about,
        line.state,
        to_figure(line.amount_minor, currency),
        "-" if line.balance_minor is None else to_figure(line.balance_minor, currency),
    )


def _figures(lines: Sequence[PaperLine], currency: str) -> list[tuple[str, str]]:
    """The balances at both ends and what moved them; none where they are not known."""
    moves = [line.amount_minor if line.posted else 0 for line in lines]
    balances = [line.balance_minor for line in lines if line.balance_minor is not None]
    if not lines or len(balances) < len(lines):
        return []
    minor = {
        "Opening balance": balances[0] - moves[0],
        "Money in": sum(move for move in moves if move > 0),
        "Money out": sum(move for move in moves if move < 0),
        "Closing balance": balances[-1],
    }
    return [(label, to_figure(amount, currency)) for label, amount in minor.items()]


def _day(day: date) -> str:
    return format_date(day, "d MMMM y", locale="en")
