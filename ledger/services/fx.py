"""Foreign exchange: two ledgers, a position in each, one linked set, and the rate beside it.

A transfer stays within one currency, so what is sold goes into the position of its currency and
what is bought comes out of the position of the other. The rate is applied exactly, and rounded
twice, each time to a whole minor unit: the customer gets the exact amount rounded *down* (never
paid what is not there), the position gives it rounded *half up*; what lies between, nothing or one
minor unit, is the residual and is booked as revenue.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Final
from uuid import UUID, uuid5

from django.utils import timezone

from core.db import ScopeError, current_scope
from core.errors import Conflict, InvalidRequest
from core.money import currency
from ledger.backends.base import AMOUNT_MAX, TransferSpec, linked
from ledger.chart import AccountRef, MerchantBook, TransferCode
from ledger.models import FxConversion
from ledger.services.posting import post_or_raise

#: How exact a rate may be: what `ledger_fxconversion.rate` holds.
RATE_DIGITS: Final = 30
RATE_DECIMALS: Final = 15


@dataclass(frozen=True, slots=True)
class FxAccounts:
    """Who sells and who gets what is bought, the positions between them, and the residual's."""

    seller: AccountRef
    position_sold: AccountRef
    position_bought: AccountRef
    buyer: AccountRef
    residual: AccountRef

    @classmethod
    def between(cls, sold: MerchantBook, bought: MerchantBook) -> FxAccounts:
        """A merchant's available money of one currency into that of another."""
        return cls(
            seller=sold.available,
            position_sold=sold.fx_position,
            position_bought=bought.fx_position,
            buyer=bought.available,
            residual=bought.fx_residual,
        )


@dataclass(frozen=True, slots=True)
class FxDeal:
    """What a conversion comes to, in minor units, and the linked set that books it."""

    sold_minor: int
    bought_minor: int
    residual_minor: int
    transfers: list[TransferSpec]


def fx_transfers(
    *, conversion_id: UUID, accounts: FxAccounts, sold_minor: int, rate: Decimal
) -> FxDeal:
    """The transfers of a conversion, exact to the minor unit; nothing is booked.

    Args:
        conversion_id: made by the caller; the document of the transfers, whose ids derive from it.
        sold_minor: how much is sold, in minor units of its currency.
        rate: major units bought for one major unit sold, at most 15 decimals.

    Raises:
        TypeError: the rate is no Decimal; a float would not say what was agreed.
        InvalidRequest: nothing is sold or bought, too much, two modes, one currency, or a rate that
            is not positive or longer than what is kept.
    """
    if not isinstance(rate, Decimal):
        raise TypeError("a rate is a Decimal")
    sold, bought = accounts.seller, accounts.buyer
    if sold.livemode != bought.livemode or sold.currency == bought.currency:
        raise _invalid("A conversion is between two currencies of one mode.", "currency")
    if not rate.is_finite() or rate <= 0:
        raise _invalid("The rate must be more than zero.", "rate")
    # Fractions, because a Decimal's arithmetic rounds to the 28 digits of its context.
    ratio = Fraction(rate)
    if (ratio * 10**RATE_DECIMALS).denominator != 1 or ratio >= 10 ** (RATE_DIGITS - RATE_DECIMALS):
        raise _invalid(f"A rate has at most {RATE_DECIMALS} digits on either side.", "rate")
    if not 0 < sold_minor <= AMOUNT_MAX:
        raise _invalid("The amount must be more than zero and fit 64 bits.", "amount")
    shift = currency(bought.currency).exponent - currency(sold.currency).exponent
    exact = sold_minor * ratio * Fraction(10) ** shift
    bought_minor, given_minor = floor(exact), floor(exact + Fraction(1, 2))
    if not 0 < bought_minor <= given_minor <= AMOUNT_MAX:
        raise _invalid(
            f"At this rate that buys {'nothing' if bought_minor == 0 else 'more than fits'}"
            f" in {bought.currency}.",
            "amount",
        )
    legs = [
        (sold, accounts.position_sold, sold_minor, TransferCode.FX_SOLD),
        (accounts.position_bought, bought, bought_minor, TransferCode.FX_BOUGHT),
    ]
    if given_minor > bought_minor:
        rest = given_minor - bought_minor
        legs.append((accounts.position_bought, accounts.residual, rest, TransferCode.FX_RESIDUAL))
    transfers = linked(
        [
            TransferSpec(
                id=uuid5(conversion_id, code.name),
                debit=debit,
                credit=credit,
                amount_minor=amount,
                code=code,
                document_id=conversion_id,
            )
            for debit, credit, amount, code in legs
        ]
    )
    return FxDeal(sold_minor, bought_minor, given_minor - bought_minor, transfers)


def fx_book(
    *, conversion_id: UUID, accounts: FxAccounts, sold_minor: int, rate: Decimal
) -> FxConversion:
    """Book a conversion with its rate, in the open transaction; the same again changes nothing.

    Raises:
        InvalidRequest, TypeError: as `fx_transfers`.
        Conflict: the id was booked before, with another rate, amount or currency.
        LedgerRefused: the ledger does not book it.
        ScopeError: no `tenant_atomic` is open.
    """
    if current_scope() is None:
        raise ScopeError("fx_book() needs tenant_atomic()")
    deal = fx_transfers(
        conversion_id=conversion_id, accounts=accounts, sold_minor=sold_minor, rate=rate
    )
    asked = FxConversion(
        id=conversion_id,
        sold_ledger=accounts.seller.ledger,
        bought_ledger=accounts.buyer.ledger,
        sold_minor=deal.sold_minor,
        bought_minor=deal.bought_minor,
        residual_minor=deal.residual_minor,
        rate=rate,
        merchant_id=accounts.seller.merchant_id,
        reseller_id=accounts.seller.reseller_id,
        booked_at=timezone.now(),
    )
    FxConversion.objects.bulk_create([asked], ignore_conflicts=True)
    booked = FxConversion.objects.filter(id=conversion_id).first()
    if booked is None or booked.terms() != asked.terms():
        raise Conflict("The conversion was booked before, on other terms. Use a new id.")
    post_or_raise(deal.transfers)
    return booked


def _invalid(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, code="parameter_invalid", param=param)
