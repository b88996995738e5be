"""What waited for a lock is judged by what stands when it gets it, not by what stood before."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from core.errors import InvalidRequest, Unavailable
from core.ids import new_id
from ledger.backends.base import Ledger, Result, TransferSpec, post_pending
from ledger.backends.coalescer import Coalescer
from ledger.backends.postgres import PostgresLedger
from ledger.chart import AccountRef, account_ref
from ledger.flags import TransferFlags
from ledger.status import TransferStatus as S
from tests.core.support import eventually

LEDGER = PostgresLedger()


def account(kind: str) -> AccountRef:
    return account_ref(kind, new_id(), currency="USD", livemode=False)


def move(debit: AccountRef, credit: AccountRef, amount: int, **more: Any) -> TransferSpec:
    return TransferSpec(
        id=more.pop("id", None) or new_id(),
        debit=debit.id,
        credit=credit.id,
        amount_minor=amount,
        code=62,
        ledger=debit.ledger,
        **more,
    )


@contextmanager
def locked(admin_dsn: str, account_id: UUID) -> Iterator[None]:
    """Somebody else holds the account's row meanwhile."""
    with psycopg.connect(admin_dsn) as holder:
        holder.execute("SELECT 1 FROM ledger_account WHERE id = %s FOR NO KEY UPDATE", [account_id])
        yield


def queued(admin_dsn: str, *calls: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
    """Start the calls in threads, in this order; each waits for a lock when the next one comes."""
    answers: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            answers[number] = calls[number]()
        finally:
            LEDGER.close()
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        for number, thread in enumerate(threads, 1):
            thread.start()
            eventually(partial(_are_waiting, admin, number))
    return threads, answers


def _are_waiting(admin: psycopg.Connection, number: int) -> bool:
    found = admin.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return found == (number,)


def test_a_retry_that_waited_behind_its_own_failure_stays_refused(admin_dsn: str) -> None:
    """The first try finds nothing, money comes in, and only then is it the retry's turn."""
    bank, wallet, shop = account("bank"), account("wallet"), account("bank")
    LEDGER.open([bank, wallet, shop])
    spend = move(wallet, shop, 100)
    with locked(admin_dsn, wallet.id):
        threads, answers = queued(
            admin_dsn,
            lambda: LEDGER.post([spend])[0].status,
            lambda: LEDGER.post([move(bank, wallet, 500)])[0].status,
            lambda: LEDGER.post([spend])[0].status,
        )
    for thread in threads:
        thread.join()
    assert answers == [S.EXCEEDS_CREDITS, S.CREATED, S.ID_ALREADY_FAILED]
    assert LEDGER.accounts([wallet.id])[0].debits_posted == 0


def test_a_reservation_that_ran_out_while_its_post_waited_is_expired(admin_dsn: str) -> None:
    bank, wallet = account("bank"), account("wallet")
    LEDGER.open([bank, wallet])
    reserved = move(bank, wallet, 100, flags=TransferFlags.PENDING, timeout_s=1)
    assert LEDGER.post([reserved])[0].ok
    with locked(admin_dsn, wallet.id):
        threads, answers = queued(
            admin_dsn, lambda: LEDGER.post([post_pending(new_id(), reserved.id)])[0].status
        )
        time.sleep(1)
    threads[0].join()
    assert answers == [S.PENDING_TRANSFER_EXPIRED]
    assert LEDGER.accounts([wallet.id])[0].credits_posted == 0


class Slow:
    """The real ledger; its first batch is kept until callers have queued up behind it."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def post(self, transfers: list[TransferSpec]) -> list[Result]:
        self.go.wait(60)
        return LEDGER.post(transfers)

    def __getattr__(self, name: str) -> Any:
        return getattr(LEDGER, name)


def test_one_callers_fault_is_not_the_others() -> None:
    """A transit account that is left with a balance makes the database refuse the whole commit."""
    bank, transit = account("bank"), account("settlement_transit")
    shops = [account("bank") for _ in range(8)]
    LEDGER.open([bank, transit, *shops])
    slow = Slow()
    ledger: Ledger = slow  # type: ignore[assignment]
    with Coalescer(ledger) as coalescer:

        def ask(spec: TransferSpec) -> Any:
            try:
                return coalescer.post([spec])[0].status
            except psycopg.Error as error:
                return type(error)

        specs = [move(bank, shop, 10) for shop in shops]
        specs.insert(4, move(bank, transit, 10))
        answers: list[Any] = [None] * len(specs)
        threads = [
            threading.Thread(target=lambda n=n: answers.__setitem__(n, ask(specs[n])))
            for n in range(len(specs))
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        slow.go.set()
        for thread in threads:
            thread.join()
    assert answers[:4] + answers[5:] == [S.CREATED] * 8
    assert issubclass(answers[4], psycopg.IntegrityError)
    assert [b.credits_posted for b in LEDGER.accounts([s.id for s in shops])] == [10] * 8


def test_a_forked_process_is_told_that_its_writer_stayed_behind() -> None:
    bank, shop = account("bank"), account("bank")
    LEDGER.open([bank, shop])
    with Coalescer(LEDGER) as coalescer:
        child = os.fork()
        if child == 0:
            try:
                coalescer.post([move(bank, shop, 10)])
            except Unavailable:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert coalescer.post([move(bank, shop, 10)])[0].ok


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"code": 2**15}, "value_out_of_range"),
        ({"code": -1}, "value_out_of_range"),
        ({"ledger": 2**31}, "value_out_of_range"),
        ({"ledger": -1}, "value_out_of_range"),
        ({"timeout_s": 2**31}, "value_out_of_range"),
        ({"flags": 2**31}, "value_out_of_range"),
        ({"effective_on": date(1969, 12, 31)}, "value_out_of_range"),
        ({"amount_minor": 2**63}, "amount_too_large"),
    ],
)
def test_a_value_beyond_its_width_is_refused_before_it_reaches_a_batch(
    change: dict[str, Any], code: str
) -> None:
    given: dict[str, Any] = {"code": 62, "ledger": 8400, "amount_minor": 1, **change}
    spec = TransferSpec(id=new_id(), debit=new_id(), credit=new_id(), **given)
    with pytest.raises(InvalidRequest) as refused:
        LEDGER.post([spec])
    assert refused.value.code == code
