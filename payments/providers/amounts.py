"""Amounts that a provider cannot take, refused before anything is stored or sent."""

from __future__ import annotations

from core.errors import InvalidRequest
from core.money import format_money
from payments.providers.registry import provider_spec


def check_charge(provider: str, amount_minor: int, currency: str) -> None:
    """Refuse an amount that the provider would not charge.

    Raises:
        InvalidRequest: on `amount`: below the minimum, above the maximum, or not in the step.
    """
    rule = provider_spec(provider).amounts(currency)
    if amount_minor < rule.minimum_minor:
        raise InvalidRequest(
            f"The least that can be charged in {currency} is"
            f" {format_money(rule.minimum_minor, currency)}: amount is at least"
            f" {rule.minimum_minor}.",
            code="amount_too_small",
            param="amount",
        )
    if rule.maximum_minor is not None and amount_minor > rule.maximum_minor:
        raise InvalidRequest(
            f"The most that can be charged at once in {currency} is"
            f" {format_money(rule.maximum_minor, currency)}: amount is at most"
            f" {rule.maximum_minor}.",
            code="amount_too_large",
            param="amount",
        )
    check_step(provider, amount_minor, currency)


def check_step(provider: str, amount_minor: int, currency: str) -> None:
    """Refuse an amount between two steps of the currency: of a charge, a capture or a refund.

    Raises:
        InvalidRequest: on `amount`.
    """
    step = provider_spec(provider).amounts(currency).step_minor
    if amount_minor % step:
        below = amount_minor - amount_minor % step
        nearest = f"{below} or {below + step}" if below else f"{step}"
        raise InvalidRequest(
            f"Amounts in {currency} are multiples of {step} here, as cards are settled in steps of"
            f" {format_money(step, currency)}. Send {nearest}.",
            code="amount_step",
            param="amount",
        )
