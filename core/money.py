"""Money: integers in minor units beside an ISO 4217 code (or a crypto asset's own).

The exponent says how many minor units make a major one: JPY 0, USD 2, KWD 3, USDT 6, BTC 8 and
ETH 9 (gwei). ISO's come from its own list (`iso4217`), for CLDR says how a currency is *shown*: it
shows the Iraqi dinar without decimals, and ISO counts three.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from decimal import Decimal

import iso4217
from babel.numbers import format_currency, get_currency_precision

from core.errors import InvalidRequest

#: Assets outside ISO 4217. USDT as on Ethereum and Tron; ETH in gwei so that it fits 64 bits.
_CRYPTO_EXPONENTS = {"USDT": 6, "BTC": 8, "ETH": 9}

#: A unit of account between central banks, which ISO 4217 lists with a minor unit all the same.
_NOT_MONEY = {"XAD"}

#: Amounts are 64-bit; this ceiling leaves room to add a year of them up without overflow.
MAX_AMOUNT_MINOR = 999_999_999_999

_LETTER_BEFORE_FIGURE = re.compile(r"(?<=[^\W\d_])(?=\d)")


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency code with its exponent (`10 ** exponent` minor units are one major unit)."""

    code: str
    exponent: int


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of a currency."""

    amount_minor: int
    currency: str


@functools.cache
def _known(code: str) -> Currency | None:
    if code in _CRYPTO_EXPONENTS:
        return Currency(code, _CRYPTO_EXPONENTS[code])
    try:
        exponent = iso4217.Currency(code).exponent
    except ValueError:
        return None
    # Metals, the codes for testing and for no currency have no minor unit.
    return None if exponent is None or code in _NOT_MONEY else Currency(code, exponent)


def currency(code: object, *, param: str = "currency") -> Currency:
    """Look a currency up by its code, in any case.

    Raises:
        InvalidRequest: not a currency that we know.
    """
    if isinstance(code, str) and len(code) in (3, 4) and code.isascii():
        known = _known(code.upper())
        if known is not None:
            return known
    raise InvalidRequest(
        "Unknown currency. Use a three-letter ISO 4217 code such as EUR.",
        code="currency_unknown",
        param=param,
    )


def iso_currency(code: object, *, param: str = "currency") -> Currency:
    """As `currency`, without crypto assets: what cards and bank accounts hold.

    Raises:
        InvalidRequest: not a currency of ISO 4217 that we know.
    """
    known = currency(code, param=param)
    if known.code in _CRYPTO_EXPONENTS:
        raise InvalidRequest(
            f"{known.code} is no currency that a card can pay in. Use a three-letter ISO 4217 code"
            " such as EUR.",
            code="currency_unknown",
            param=param,
        )
    return known


def parse_amount(value: object, *, param: str = "amount", minimum: int = 1) -> int:
    """Accept an amount from the outside: a JSON integer in minor units, nothing else.

    Raises:
        InvalidRequest: a float, a string, a boolean, below `minimum`, or above the ceiling.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(
            "Amounts are whole numbers in the currency's minor unit (1000 is 10.00 EUR), "
            "sent as JSON integers.",
            code="amount_not_integer",
            param=param,
        )
    if value < minimum:
        raise InvalidRequest(
            f"The amount must be at least {minimum}.", code="amount_too_small", param=param
        )
    if value > MAX_AMOUNT_MINOR:
        raise InvalidRequest(
            f"The amount must not be above {MAX_AMOUNT_MINOR}.",
            code="amount_too_large",
            param=param,
        )
    return value


def to_major(amount_minor: int, code: str) -> Decimal:
    """The amount in major units, exactly: 4890 EUR is Decimal('48.90')."""
    return Decimal(amount_minor).scaleb(-currency(code).exponent)


def to_plain(amount_minor: int, code: str) -> str:
    """An amount for files and form fields: 123456 EUR is "1234.56", 5 BTC "0.00000005".

    `str` writes so small a Decimal as a power of ten, which spreadsheets round and forms refuse.
    """
    return f"{to_major(amount_minor, code):f}"


def to_figure(amount_minor: int, code: str) -> str:
    """An amount for a column of amounts, without its currency: -123456 EUR is "-1,234.56"."""
    return f"{to_major(amount_minor, code):,.{currency(code).exponent}f}"


def format_money(amount_minor: int, code: str, locale: str = "en_US") -> str:
    """An amount for people's eyes: 4890, "EUR" gives "€48.90".

    A currency that is written with letters is kept apart from the figure by a space that does not
    break, as CLDR's currencySpacing wants it, which Babel leaves out: "BHD 0.976".
    """
    known = currency(code)
    major = to_major(amount_minor, code)
    if known.code in _CRYPTO_EXPONENTS:
        return f"{to_figure(amount_minor, code)} {known.code}"
    text = (
        format_currency(
            major,
            known.code,
            locale=locale,
            currency_digits=False,
            format=None,
            decimal_quantization=False,
        )
        if known.exponent != get_currency_precision(known.code)
        else format_currency(major, known.code, locale=locale)
    )
    return _LETTER_BEFORE_FIGURE.sub("\u00a0", text)


def share_bps(amount_minor: int, bps: int) -> int:
    """`bps` hundredths of a percent of an amount, rounded half up once.

    Works on integers throughout: no intermediate value leaves exact arithmetic.
    """
    return (amount_minor * bps + 5_000) // 10_000
