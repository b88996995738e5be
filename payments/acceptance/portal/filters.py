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
from typing import Any, Final

from django.http import QueryDict
from django.utils.dateparse import parse_date

from core import errors, ids
from core.money import MAX_AMOUNT_MINOR, currency, format_money
from payments.acceptance.models import Customer
from payments.acceptance.selectors import SHOWN_STATES, PaymentFilter
from tenants.models import Merchant
from tenants.seats import Seat

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


def read_filters(
    query: QueryDict, seat: Seat, find_merchant: Callable[[str], Merchant] | None = None
) -> FilterForm:
    """Read the query string; problems are told by field, and a field with one narrows nothing.

    `find_merchant` turns what was typed for a merchant into one of the reseller's; without it the
    filter has none.
    """
    values = {name: query.get(name, "").strip()[:200] for name in FIELDS}
    if find_merchant is None:
        values["merchant"] = ""
    problems: dict[str, str] = {}
    code = (values["currency"] or seat.default_currency or "USD").upper()

    def attempt(name: str, read: Any) -> Any:
        if not values[name]:
            return None
        try:
            return read(values[name])
        except errors.AppError as error:
            problems[name] = error.message
        except ValueError:
            problems[name] = "Enter a date, like 2026-11-21."
        return None

    attempt("currency", currency)
    if "currency" in problems:
        code = "USD"
    low = attempt("min", lambda text: parse_major(text, code))
    high = attempt("max", lambda text: parse_major(text, code))
    if low is not None and high is not None and low > high:
        problems["max"] = "The upper amount is below the lower one."
    since, until = attempt("from", _date), attempt("to", _date)
    if since and until and since > until:
        problems["to"] = "The last day is before the first one."
    if values["last4"] and not (len(values["last4"]) == 4 and values["last4"].isdigit()):
        problems["last4"] = "Enter the last four digits of the card."
    if values["status"] and values["status"] not in SHOWN_STATES:
        problems["status"] = "There is no such status."
    merchant = attempt("merchant", find_merchant) if find_merchant else None
    narrowed = low is not None or high is not None or bool(values["currency"])
    wanted = PaymentFilter(
        livemode=seat.livemode,
        shown=values["status"] if "status" not in problems else "",
        created_from=_start(since),
        created_to=_end(until),
        amount_min_minor=low,
        amount_max_minor=high,
        currency=code if narrowed else "",
        customer_id=attempt("customer", lambda text: ids.decode(Customer.PREFIX, text)),
        merchant_id=merchant.id if merchant else None,
        reference=values["reference"],
        last4=values["last4"] if "last4" not in problems else "",
        email=values["email"],
        search=values["q"],
    )
    chips = _chips(values, low, high, code)
    if merchant:
        chips["merchant"] = merchant.name
    return FilterForm(values, wanted, problems, chips)


def _date(text: str) -> dt.date:
    day = parse_date(text)
    if day is None:
        raise ValueError(text)
    return day


def _start(day: dt.date | None) -> dt.datetime | None:
    return None if day is None else dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)


def _end(day: dt.date | None) -> dt.datetime | None:
    return None if day is None else dt.datetime.combine(day, dt.time.max, tzinfo=dt.UTC)


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
