"""Between ISO 4217 minor units, which we keep, and the units that Stripe's API counts in.

Stripe counts some currencies otherwise than ISO does; source:
https://docs.stripe.com/currencies#minor-units (zero-decimal, three-decimal and special cases).
The least and greatest charges: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts.
"""

from __future__ import annotations

from typing import Final

from payments.providers.base import ProviderError
from payments.providers.declared import AmountRule

# Whole units at ISO, but Stripe wants two decimals, which must be 00.
_STRIPE_ADDS_TWO_DECIMALS: Final = frozenset({"ISK", "UGX"})
# Two decimals at ISO, but Stripe counts whole units.
_STRIPE_DROPS_TWO_DECIMALS: Final = frozenset({"MGA"})
# Card networks settle these to two decimals: the third must be 0.
_LAST_DECIMAL_IS_ZERO: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

#: The least charge, in ISO minor units; other currencies have none of their own.
_MINIMUM: Final = {
    "AED": 200,
    "AUD": 50,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 15_00,
    "DKK": 2_50,
    "EUR": 50,
    "GBP": 30,
    "HKD": 4_00,
    "HUF": 175_00,
    "INR": 50,
    "JPY": 50,
    "MXN": 10_00,
    "MYR": 2_00,
    "NOK": 3_00,
    "NZD": 50,
    "PLN": 2_00,
    "RON": 2_00,
    "SEK": 3_00,
    "SGD": 50,
    "THB": 10_00,
    "USD": 50,
}
#: The greatest number has eight digits; currencies of small units have up to twelve.
_MAXIMUM: Final = 99_999_999
_MAXIMUM_OF_SMALL_UNITS: Final = 999_999_999_999
_EIGHT_DIGITS: Final = frozenset(
    {"AED", "AUD", "BRL", "CAD", "CHF", "DKK", "EUR", "GBP", "HKD", "NZD", "SGD", "USD"}
)


def amount_rule(currency: str) -> AmountRule:
    """The amounts that Stripe takes, in ISO minor units."""
    step = 1
    if currency in _STRIPE_DROPS_TWO_DECIMALS:
        step = 100
    elif currency in _LAST_DECIMAL_IS_ZERO:
        step = 10
    return AmountRule(
        step_minor=step,
        minimum_minor=_MINIMUM.get(currency, 1),
        maximum_minor=_MAXIMUM if currency in _EIGHT_DIGITS else _MAXIMUM_OF_SMALL_UNITS,
    )


def to_stripe(amount_minor: int, currency: str) -> int:
    """The number to send. Raises ProviderError for an amount that Stripe cannot take."""
    if currency in _STRIPE_ADDS_TWO_DECIMALS:
        return amount_minor * 100
    if currency in _STRIPE_DROPS_TWO_DECIMALS:
        return _divided(amount_minor, 100, currency) // 100
    if currency in _LAST_DECIMAL_IS_ZERO:
        return _divided(amount_minor, 10, currency)
    return amount_minor


def from_stripe(amount: int, currency: str) -> int:
    """What Stripe answered, in ISO minor units."""
    if currency in _STRIPE_ADDS_TWO_DECIMALS:
        return amount // 100
    if currency in _STRIPE_DROPS_TWO_DECIMALS:
        return amount * 100
    return amount


def _divided(amount_minor: int, step: int, currency: str) -> int:
    if amount_minor % step:
        raise ProviderError(
            f"Stripe takes {currency} amounts in steps of {step} minor units only.",
            permanent=True,
            code="invalid_amount",
            param="amount",
        )
    return amount_minor
