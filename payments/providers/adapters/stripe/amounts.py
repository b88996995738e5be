"""Between ISO 4217 minor units, which we keep, and the units that Stripe's API counts in.

Stripe counts some currencies otherwise than ISO does; source:
https://docs.stripe.com/currencies#minor-units (zero-decimal, three-decimal and special cases).
"""

from __future__ import annotations

from typing import Final

from payments.providers.base import ProviderError

# Whole units at ISO, but Stripe wants two decimals, which must be 00.
_STRIPE_ADDS_TWO_DECIMALS: Final = frozenset({"ISK", "UGX"})
# Two decimals at ISO, but Stripe counts whole units.
_STRIPE_DROPS_TWO_DECIMALS: Final = frozenset({"MGA"})
# Card networks settle these to two decimals: the third must be 0.
_LAST_DECIMAL_IS_ZERO: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


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
