"""The worked examples of docs/ledger.md: what is printed there is what the ledger finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from core.db import Scope, tenant_atomic
from core.ids import new_id
from core.money import to_major
from ledger.chart import AccountRef, MerchantBook, account_ref, wallet
from ledger.chart import TransferCode as C
from ledger.flags import TransferFlags
from ledger.selectors import balance_now
from ledger.services import (
    LedgerRefused,
    TransferSpec,
    TransferStatus,
    covered_by,
    linked,
    post_or_raise,
    post_pending,
)
from ledger.services.fx import FxAccounts, fx_book
from payments.intents import bookings
from payments.intents.models import Intent, Operation
from payments.intents.states import IntentState

DOC = (Path(__file__).resolve().parent.parent.parent / "docs" / "ledger.md").read_text("utf-8")
PRINTED = dict(re.findall(r"<!-- example: (\w+) -->\n```text\n(.*?)```", DOC, re.DOTALL))
PROVIDER = new_id()


def book(currency: str = "USD", merchant: UUID | None = None) -> MerchantBook:
    return MerchantBook(merchant or new_id(), new_id(), currency, False)


def move(debit: AccountRef, credit: AccountRef, amount: int, code: C) -> TransferSpec:
    return TransferSpec(id=new_id(), debit=debit, credit=credit, amount_minor=amount, code=code)


def post(transfers: Sequence[TransferSpec]) -> None:
    with tenant_atomic(Scope.worker()):
        post_or_raise(linked(list(transfers)))


def authorize(b: MerchantBook, amount: int) -> UUID:
    spec = TransferSpec(
        id=new_id(),
        debit=b.provider_clearing(PROVIDER),
        credit=b.pending,
        amount_minor=amount,
        code=C.PAYMENT,
        flags=TransferFlags.PENDING,
    )
    post([spec])
    return spec.id


def paid(b: MerchantBook, amount: int) -> None:
    """A payment without fees that has become available."""
    post(
        [
            move(b.provider_clearing(PROVIDER), b.pending, amount, C.PAYMENT),
            move(b.pending, b.available, amount, C.AVAILABLE),
        ]
    )


Balances = list[tuple[str, AccountRef]]


def booked_legs(b: MerchantBook) -> list[TransferSpec]:
    """What the platform's own payments book: 2.90 % and 0.30, of which 31.25 % the reseller's."""
    intent = Intent(
        id=new_id(),
        merchant_id=b.merchant_id,
        reseller_id=b.reseller_id,
        livemode=b.livemode,
        currency=b.currency,
        operation=Operation.PAYMENT,
        document_id=new_id(),
        state=IntentState.SETTLED,
        provider_account_id=PROVIDER,
        amount_minor=10_000,
        settled_amount_minor=10_000,
        fee_bps=290,
        fee_fixed_minor=30,
        reseller_share_bps=3125,
    )
    reserved = bookings.reservation(intent)
    post(reserved)
    settled = bookings.legs(intent, before=IntentState.AUTHORIZED)
    post(settled)
    return [*reserved, *settled[1:]]


def payment_with_fees() -> Balances:
    b = book()
    legs = booked_legs(b)
    names = {
        b.provider_clearing(PROVIDER).id: "provider_clearing",
        b.pending.id: "merchant_pending",
        b.platform_fee.id: "platform_fee",
        b.reseller_residual.id: "reseller_residual",
    }
    rows = [
        (names[leg.debit_id], names[leg.credit_id], f"{to_major(leg.amount_minor, 'USD')}")
        for leg in legs
        if leg.debit_id and leg.credit_id and leg.amount_minor
    ]
    section = DOC.split("### Payment with fees")[1].split("<!-- example")[0]
    assert re.findall(r"^\| (\w+) \| (\w+) \| ([\d.]+) \|", section, re.MULTILINE) == rows
    return [
        ("provider_clearing", b.provider_clearing(PROVIDER)),
        ("merchant_pending", b.pending),
        ("platform_fee", b.platform_fee),
        ("reseller_residual", b.reseller_residual),
    ]


def partial_capture() -> Balances:
    b = book()
    post([post_pending(new_id(), authorize(b, 10_000), 6_000)])
    return [
        ("provider_clearing", b.provider_clearing(PROVIDER)),
        ("merchant_pending", b.pending),
    ]


def refund_after_payout() -> Balances:
    b = book()
    paid(b, 10_000)
    payout(b, 10_000)
    post([move(b.available, b.provider_clearing(PROVIDER), 4_000, C.REFUND)])
    return [
        ("provider_clearing", b.provider_clearing(PROVIDER)),
        ("merchant_available", b.available),
        ("bank", b.bank),
    ]


def payout(b: MerchantBook, amount: int) -> None:
    post([move(b.available, b.payout_transit, amount, C.PAYOUT)])
    post([move(b.payout_transit, b.bank, amount, C.PAYOUT_PAID)])


def dispute_lost() -> Balances:
    b = book()
    paid(b, 10_000)
    post([move(b.available, b.disputes, 5_000, C.DISPUTE_OPENED)])
    post(
        [
            move(b.disputes, b.provider_clearing(PROVIDER), 5_000, C.DISPUTE_LOST),
            move(b.available, b.dispute_fee, 1_500, C.DISPUTE_FEE),
        ]
    )
    return [
        ("provider_clearing", b.provider_clearing(PROVIDER)),
        ("merchant_available", b.available),
        ("dispute_fee", b.dispute_fee),
    ]


def payout_returned() -> Balances:
    b = book()
    paid(b, 10_000)
    payout(b, 8_000)
    post(
        [
            move(b.bank, b.payout_transit, 8_000, C.PAYOUT_RETURNED),
            move(b.payout_transit, b.available, 8_000, C.PAYOUT_RETURNED),
        ]
    )
    assert total(b.bank) == 0
    assert total(b.payout_transit) == 0
    return [
        ("provider_clearing", b.provider_clearing(PROVIDER)),
        ("merchant_available", b.available),
    ]


def p2p() -> Balances:
    bank = account_ref("bank", new_id(), currency="USD", livemode=False)
    a, b = wallet(new_id(), "USD", livemode=False), wallet(new_id(), "USD", livemode=False)
    post([move(bank, a, 5_000, C.TOP_UP)])
    post([move(a, b, 2_000, C.P2P)])
    with pytest.raises(LedgerRefused) as refused:
        post([move(a, b, 4_000, C.P2P)])
    assert refused.value.result_status is TransferStatus.EXCEEDS_CREDITS
    return [("bank", bank), ("wallet a", a), ("wallet b", b)]


def fx() -> Balances:
    usd = book("USD")
    eur = book("EUR", usd.merchant_id)
    with tenant_atomic(Scope.worker()):
        deal = fx_book(
            conversion_id=new_id(),
            accounts=FxAccounts.between(usd, eur),
            sold_minor=10_000,
            rate=Decimal("0.91235"),
        )
    assert (deal.rate, deal.residual_minor) == (Decimal("0.91235"), 1)
    return [
        ("USD merchant_available", usd.available),
        ("USD fx_position", usd.fx_position),
        ("EUR merchant_available", eur.available),
        ("EUR fx_position", eur.fx_position),
        ("EUR fx_residual", eur.fx_residual),
    ]


def condition() -> Balances:
    b = book()
    paid(b, 10_000)
    payout_of = move(b.available, b.payout_transit, 8_000, C.PAYOUT)
    post([*covered_by(b.available, b.control, 8_000, transfer_id=payout_of.id), payout_of])
    again = move(b.available, b.payout_transit, 8_000, C.PAYOUT)
    with pytest.raises(LedgerRefused) as refused:
        post([*covered_by(b.available, b.control, 8_000, transfer_id=again.id), again])
    assert refused.value.result_status is TransferStatus.EXCEEDS_CREDITS
    assert total(b.control) == 0
    return [("merchant_available", b.available), ("payout_transit", b.payout_transit)]


EXAMPLES: list[Callable[[], Balances]] = [
    payment_with_fees,
    partial_capture,
    refund_after_payout,
    dispute_lost,
    payout_returned,
    p2p,
    fx,
    condition,
]


def total(ref: AccountRef) -> int:
    """Credits less debits, as the documentation prints them."""
    with tenant_atomic(Scope.worker()):
        b = balance_now(ref.id)
    return b.credits_posted - b.debits_posted


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_the_documented_example(example: Callable[[], Balances]) -> None:
    found = example()
    printed = [line.rsplit(maxsplit=1) for line in PRINTED[example.__name__].splitlines()]
    shown = [[name, str(to_major(total(ref), ref.currency))] for name, ref in found]
    assert shown == [[name.strip(), amount] for name, amount in printed]


def test_every_documented_example_is_run() -> None:
    assert set(PRINTED) == {example.__name__ for example in EXAMPLES}
