"""The ledger that commits on its own."""

from __future__ import annotations

from core.ids import new_id
from ledger.backends.base import TransferSpec
from ledger.backends.postgres import PostgresLedger
from ledger.chart import account_ref
from ledger.status import TransferStatus


def test_single_and_batch() -> None:
    ledger = PostgresLedger()
    bank = account_ref("bank", new_id(), currency="USD", livemode=False)
    wallet = account_ref("wallet", new_id(), currency="USD", livemode=False)
    one = TransferSpec(id=new_id(), debit=bank, credit=wallet, amount_minor=100, code=61)
    assert [r.status for r in ledger.post([one])] == [TransferStatus.CREATED]
    assert [r.status for r in ledger.post([one])] == [TransferStatus.EXISTS]
    batch = [
        TransferSpec(id=new_id(), debit=wallet, credit=bank, amount_minor=30, code=62)
        for _ in range(4)
    ]
    assert [r.status for r in ledger.post(batch)] == [TransferStatus.CREATED] * 3 + [
        TransferStatus.EXCEEDS_CREDITS
    ]
    assert ledger.accounts([wallet.id])[0].debits_posted == 90
