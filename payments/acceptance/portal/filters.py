"""What people type into the filters of the payments list, read into a `PaymentFilter`.

The list, its cursor pages and the export all read the same query string through this module, so
that an export holds exactly what the list shows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeVar

from django.http import QueryDict

from core import errors, ids, spans
from core.money import MAX_AMOUNT_MINOR, currency, format_money
from payments.acceptance.models import Customer
from payments.acceptance.selectors import SHOWN_STATES, PaymentFilter
from tenants.models import Merchant
from tenants.seats import Seat

T = TypeVar("T")

FIELDS = (
    "q", "status", "from", "to", "min", "max", "currency",
    "customer", "reference", "last4", "email", "merchant",
)  # fmt: skip

#: The states as the pills say them; portal/words.py has the same words.
TABS = (
    ("", "All"),
    ("completed", "Completed"),
    ("requires_capture", "Uncaptured"),
    ("pending", "Pending"),
    ("processing", "Processing"),
    ("requires_action", "Requires action"),
    ("refunded", "Refunded"),
    ("partially_refunded", "Partly refunded"),
    ("disputed", "Disputed"),
    ("failed", "Failed"),
    ("canceled", "Canceled"),
)

_AMOUNT: Final = re.compile(
    r"(?:(?P<plain>[0-9]+)|(?P<grouped>[1-9][0-9]{0,2}(?:,[0-9]{3})+))(?:\.(?P<decimals>[0-9]+))?"
)


def parse_major(text: str, code: str) -> int:
    """An amount as a person writes it ("1,234.50") in minor units of the currency.

    Half the world writes "12,50" for twelve and a half, so a comma counts only where it can be
    nothing but a separator of thousands: what could be read in two ways is refused, never guessed.

    Raises:
        InvalidRequest: not written so, more decimals than the currency has, or too large.
    """
    exponent = currency(code).exponent
    example = f"{Decimal(1250).scaleb(-exponent):f}"
    written = _AMOUNT.fullmatch(text.strip())
    if written is None:
        wrong = (
            "A comma only separates thousands here."
            if "," in text
            else "Enter an amount, for example 12.45."
        )
        raise errors.InvalidRequest(f"{wrong} Write it like {example}.")
    grouped, decimals = written["grouped"], written["decimals"] or ""
    # "1,234" is a decimal fraction to many, where the currency has three decimals or more.
    if grouped and exponent >= 3 and not decimals and grouped.count(",") == 1:
        raise errors.InvalidRequest(f"The comma can be read in two ways. Write it like {example}.")
    if len(decimals) > exponent:
        most = "no decimals" if exponent == 0 else f"at most {exponent} decimals"
        raise errors.InvalidRequest(f"{code.upper()} has {most}. Write it like {example}.")
    digits = (grouped or written["plain"]).replace(",", "") + decimals.ljust(exponent, "0")
    # More digits than any amount has are too many, whatever they say: int() refuses thousands.
    minor = int(digits) if len(digits.lstrip("0")) < 20 else MAX_AMOUNT_MINOR + 1
    if minor > MAX_AMOUNT_MINOR:
        raise errors.InvalidRequest(f"The most is {format_money(MAX_AMOUNT_MINOR, code)}.")
    return minor


@dataclass(slots=True)
class FilterForm:
    """The filters as typed, as understood, and what was wrong with them."""

    values: dict[str, str]
    wanted: PaymentFilter
    problems: dict[str, str] = field(default_factory=dict)
    chips: dict[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether anything is narrowed at all."""
        return any(self.values.values())


class _Reader:
    """What was typed, read field by field; a field with a problem narrows nothing."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.problems: dict[str, str] = {}

    def read(self, name: str, read: Callable[[str], T]) -> T | None:
        """What a field says; None where it is empty or has a problem."""
        if not self.values[name]:
            return None
        try:
            return read(self.values[name])
        except errors.AppError as error:
            self.problems[name] = error.message
        except ValueError as error:
            self.problems[name] = str(error)
        return None

    def checked(self, name: str, fits: Callable[[str], bool], problem: str) -> str:
        """What was typed in a field where it fits; else the problem is kept."""
        given = self.values[name]
        if given and not fits(given):
            self.problems[name] = problem
            return ""
        return given

    def amounts(self, code: str) -> tuple[int | None, int | None]:
        """The lowest and the highest amount in minor units."""
        low = self.read("min", lambda text: parse_major(text, code))
        high = self.read("max", lambda text: parse_major(text, code))
        if low is not None and high is not None and low > high:
            self.problems["max"] = "The upper amount is below the lower one."
        return low, high

    def days(self) -> tuple[dt.date | None, dt.date | None]:
        """The first and the last day."""
        since, until = self.read("from", spans.read_day), self.read("to", spans.read_day)
        if since and until and since > until:
            self.problems["to"] = "The last day is before the first one."
        return since, until


def read_filters(
    query: QueryDict, seat: Seat, find_merchant: Callable[[str], Merchant] | None = None
) -> FilterForm:
    """Read the query string; problems are reported by field, and such a field narrows nothing.

    `find_merchant` turns what was typed for a merchant into one of the reseller's; without it the
    filter has none.
    """
    values = {name: query.get(name, "").strip()[:200] for name in FIELDS}
    if find_merchant is None:
        values["merchant"] = ""
    given = _Reader(values)
    code = (values["currency"] or seat.default_currency or "USD").upper()
    given.read("currency", currency)
    if "currency" in given.problems:
        code = "USD"
    low, high = given.amounts(code)
    since, until = given.days()
    merchant = given.read("merchant", find_merchant) if find_merchant else None
    narrowed = low is not None or high is not None or bool(values["currency"])
    wanted = PaymentFilter(
        livemode=seat.livemode,
        shown=given.checked("status", SHOWN_STATES.__contains__, "There is no such status."),
        created=spans.days(since, until),
        amount_min_minor=low,
        amount_max_minor=high,
        currency=code if narrowed else "",
        customer_id=given.read("customer", lambda text: ids.decode(Customer.PREFIX, text)),
        merchant_id=merchant.id if merchant else None,
        reference=values["reference"],
        last4=given.checked("last4", _is_last4, "Enter the last four digits of the card."),
        email=values["email"],
        search=values["q"],
    )
    chips = _chips(values, low, high, code)
    if merchant:
        chips["merchant"] = merchant.name
    return FilterForm(values, wanted, given.problems, chips)


def _is_last4(text: str) -> bool:
    return len(text) == 4 and text.isdigit()


def _chips(values: dict[str, str], low: int | None, high: int | None, code: str) -> dict[str, str]:
    """What each filter's button says when it is in use."""
    chips: dict[str, str] = {}
    since, until = values["from"], values["to"]
    if since and until:
        chips["date"] = since if since == until else f"{since} to {until}"
    elif since or until:
        chips["date"] = f"since {since}" if since else f"until {until}"
    if low is not None and high is not None:
        chips["amount"] = f"{format_money(low, code)} to {format_money(high, code)}"
    elif low is not None:
        chips["amount"] = f"at least {format_money(low, code)}"
    elif high is not None:
        chips["amount"] = f"at most {format_money(high, code)}"
    elif values["currency"]:
        chips["amount"] = values["currency"].upper()
    who = values["email"] or values["customer"]
    if who:
        chips["customer"] = who
    if values["last4"]:
        chips["card"] = f"•••• {values['last4']}"
    if values["reference"]:
        chips["reference"] = values["reference"]
    return chips
