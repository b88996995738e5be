"""The chart of accounts, ledgers and names, as data; ids and names follow from a fixed rule.

An account's id is `uuid5(NAMESPACE, name)`, and its name says what it is for:
`<what>/<whose>…/<currency>/<live|test>`. Accounts of the platform and of providers are kept per
merchant, so that no row is touched by every payment of the platform; sums over them are a report.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID, uuid5

import pycountry

from core.errors import InvalidRequest
from core.money import currency as known_currency
from ledger.flags import AccountFlags

#: Of every account id. Never changes: ids would no longer be verifiable.
NAMESPACE: Final = UUID("5b0c9a52-6f3e-5f0a-9d5c-2f1f7f6a4c11")

_HISTORY = AccountFlags.HISTORY
_FUNDED = AccountFlags.HISTORY | AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS

Side = Literal["debit", "credit"]


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One account code: what it is, on which side it grows, what its accounts refuse."""

    code: int
    name: str
    title: str
    kind: Literal["asset", "liability", "revenue", "expense", "equity"]
    normal_side: Side
    flags: AccountFlags = field(default=_HISTORY)


CHART: Final = (
    ChartLine(1010, "provider_clearing", "Owed by a payment provider", "asset", "debit"),
    ChartLine(1020, "bank", "Settlement bank account", "asset", "debit"),
    ChartLine(1030, "merchant_receivable", "Owed by a merchant", "asset", "debit"),
    ChartLine(1040, "fx_position", "Foreign exchange position", "asset", "debit"),
    ChartLine(1050, "custody", "Stablecoins and crypto in custody", "asset", "debit"),
    ChartLine(2010, "merchant_pending", "Merchant, not yet available", "liability", "credit"),
    ChartLine(2020, "merchant_available", "Merchant, available", "liability", "credit"),
    ChartLine(2030, "merchant_reserve", "Merchant, in reserve", "liability", "credit", _FUNDED),
    ChartLine(2040, "reseller_residual", "Reseller's share of fees", "liability", "credit"),
    ChartLine(2050, "payout_transit", "Payouts on their way", "liability", "credit", _FUNDED),
    ChartLine(2060, "refunds", "Refunds on their way", "liability", "credit", _FUNDED),
    ChartLine(2070, "disputes", "Held for disputes", "liability", "credit", _FUNDED),
    ChartLine(2080, "wallet", "Consumer wallet", "liability", "credit", _FUNDED),
    ChartLine(2090, "settlement_transit", "Settlement in transit", "liability", "credit",
              AccountFlags.HISTORY | AccountFlags.TRANSIT),
    ChartLine(2095, "control", "Control of conditional transfers", "liability", "credit",
              AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.TRANSIT),
    ChartLine(3010, "opening", "Opening balances", "equity", "credit"),
    ChartLine(4010, "platform_fee", "Platform's fees", "revenue", "credit"),
    ChartLine(4020, "dispute_fee", "Dispute fees", "revenue", "credit"),
    ChartLine(4030, "fx_residual", "Rounding of foreign exchange", "revenue", "credit"),
    ChartLine(5010, "provider_fee", "Fees of payment providers", "expense", "debit"),
    ChartLine(5020, "dispute_loss", "Losses from disputes", "expense", "debit"),
)  # fmt: skip

BY_CODE: Final = {line.code: line for line in CHART}
BY_NAME: Final = {line.name: line for line in CHART}


class TransferCode(enum.IntEnum):
    """Why money moved. Settling a pending transfer keeps the code it was reserved under."""

    PAYMENT = 10
    PLATFORM_FEE = 11
    RESELLER_RESIDUAL = 12
    PROVIDER_FEE = 13
    AVAILABLE = 20
    RESERVE_HOLD = 21
    RESERVE_RELEASE = 22
    REFUND = 30
    REFUND_SETTLED = 31
    FEE_REFUND = 32
    RESIDUAL_REFUND = 33
    DISPUTE_OPENED = 40
    DISPUTE_WON = 41
    DISPUTE_LOST = 42
    DISPUTE_FEE = 43
    PAYOUT = 50
    PAYOUT_PAID = 51
    PAYOUT_RETURNED = 52
    PROVIDER_SETTLEMENT = 55
    P2P = 60
    TOP_UP = 61
    WITHDRAWAL = 62
    FX_SOLD = 70
    FX_BOUGHT = 71
    FX_RESIDUAL = 72
    CORRECTION = 90
    OPENING = 91
    CONDITION = 92
    CLOSING = 93

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


#: What is booked between accounts that a merchant does not see: shares of its fee, roundings.
UNSEEN_BY_MERCHANTS: Final = frozenset(
    {TransferCode.RESELLER_RESIDUAL, TransferCode.RESIDUAL_REFUND, TransferCode.FX_RESIDUAL}
)

#: Assets without an ISO 4217 number, and old numbers kept for those that have lost one.
_OWN_NUMBERS: Final = {"USDT": 1001, "BTC": 1002, "ETH": 1003, "XCG": 532}


@functools.cache
def ledger_number(currency: str, livemode: bool) -> int:
    """The ledger of one currency and mode: ten times the ISO 4217 number, plus 1 when live.

    Raises:
        InvalidRequest: unknown currency.
    """
    code = known_currency(currency).code
    number = _OWN_NUMBERS.get(code)
    if number is None:
        found = pycountry.currencies.get(alpha_3=code)
        if found is None:
            raise InvalidRequest("The currency has no number.", code="currency_unknown")
        number = int(found.numeric)
    return number * 10 + (1 if livemode else 0)


@functools.cache
def ledger_currency(ledger: int) -> tuple[str, bool]:
    """The currency and mode of a ledger number.

    Raises:
        ValueError: no such ledger.
    """
    number, live = divmod(ledger, 10)
    for code, own in _OWN_NUMBERS.items():
        if own == number:
            return code, live == 1
    found = pycountry.currencies.get(numeric=f"{number:03}")
    if found is None or live > 1:
        raise ValueError(f"there is no ledger {ledger}")
    return str(found.alpha_3), live == 1


@functools.lru_cache(maxsize=16384)
def account_id(name: str) -> UUID:
    """The id of the account with that name."""
    return uuid5(NAMESPACE, name)


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account by its name, with what is needed to open it on first use.

    `scope_id` is the tenant in whose requests it may be moved; null leaves it to staff and workers.
    `flags` overrides those of the chart, which only staff and workers may do.
    """

    name: str
    code: int
    ledger: int
    merchant_id: UUID | None = None
    reseller_id: UUID | None = None
    livemode: bool = False
    scope_id: UUID | None = None
    flags: AccountFlags | None = None
    user_data: UUID | None = None

    @property
    def id(self) -> UUID:
        return account_id(self.name)

    @property
    def currency(self) -> str:
        return ledger_currency(self.ledger)[0]


def mode(livemode: bool) -> str:
    return "live" if livemode else "test"


@functools.lru_cache(maxsize=4096)
def account_ref(
    what: str,
    *whose: UUID | str,
    currency: str,
    livemode: bool,
    merchant_id: UUID | None = None,
    reseller_id: UUID | None = None,
    scope_id: UUID | None = None,
) -> AccountRef:
    """A reference to an account; `whose` distinguishes accounts on the chart line `what`."""
    line = BY_NAME[what]
    code = known_currency(currency).code
    name = "/".join((what, *(str(part) for part in whose), code, mode(livemode)))
    return AccountRef(
        name=name,
        code=line.code,
        ledger=ledger_number(code, livemode),
        merchant_id=merchant_id,
        reseller_id=reseller_id,
        livemode=livemode,
        scope_id=scope_id,
    )


@dataclass(frozen=True, slots=True)
class MerchantBook:
    """All accounts that one merchant's business moves, in one currency and mode.

    The merchant sees its own (pending, available, reserve, receivable, refunds, disputes, payouts);
    the provider's clearing, the fees and the reseller's residual are kept per merchant, moved in
    its requests, and not seen by it.
    """

    merchant_id: UUID
    reseller_id: UUID
    currency: str
    livemode: bool

    def _own(self, what: str) -> AccountRef:
        return account_ref(
            what,
            self.merchant_id,
            currency=self.currency,
            livemode=self.livemode,
            merchant_id=self.merchant_id,
            reseller_id=self.reseller_id,
            scope_id=self.merchant_id,
        )

    def _kept_for(self, what: str, *whose: UUID, reseller_id: UUID | None = None) -> AccountRef:
        return account_ref(
            what,
            *whose,
            self.merchant_id,
            currency=self.currency,
            livemode=self.livemode,
            reseller_id=reseller_id,
            scope_id=self.merchant_id,
        )

    @property
    def pending(self) -> AccountRef:
        return self._own("merchant_pending")

    @property
    def available(self) -> AccountRef:
        return self._own("merchant_available")

    @property
    def reserve(self) -> AccountRef:
        return self._own("merchant_reserve")

    @property
    def receivable(self) -> AccountRef:
        return self._own("merchant_receivable")

    @property
    def refunds(self) -> AccountRef:
        return self._own("refunds")

    @property
    def disputes(self) -> AccountRef:
        return self._own("disputes")

    @property
    def payout_transit(self) -> AccountRef:
        return self._own("payout_transit")

    @property
    def settlement_transit(self) -> AccountRef:
        return self._own("settlement_transit")

    @property
    def control(self) -> AccountRef:
        return self._own("control")

    @property
    def platform_fee(self) -> AccountRef:
        return self._kept_for("platform_fee")

    @property
    def dispute_fee(self) -> AccountRef:
        return self._kept_for("dispute_fee")

    @property
    def dispute_loss(self) -> AccountRef:
        return self._kept_for("dispute_loss")

    @property
    def reseller_residual(self) -> AccountRef:
        return self._kept_for("reseller_residual", self.reseller_id, reseller_id=self.reseller_id)

    @property
    def fx_position(self) -> AccountRef:
        return self._kept_for("fx_position")

    @property
    def fx_residual(self) -> AccountRef:
        return self._kept_for("fx_residual")

    @property
    def bank(self) -> AccountRef:
        return self._kept_for("bank")

    def provider_clearing(self, provider_account_id: UUID) -> AccountRef:
        return self._kept_for("provider_clearing", provider_account_id)

    def provider_fee(self, provider_account_id: UUID) -> AccountRef:
        return self._kept_for("provider_fee", provider_account_id)


def wallet(wallet_id: UUID, currency: str, *, livemode: bool) -> AccountRef:
    """A consumer's wallet; it can never be overdrawn."""
    return account_ref("wallet", wallet_id, currency=currency, livemode=livemode)
