"""Many connections at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection

from core.db import Scope, tenant_atomic
from core.ids import new_id
from ledger.backends.base import AccountSpec, TransferSpec, linked, post_pending, void_pending
from ledger.backends.coalescer import Coalescer
from ledger.backends.postgres import PostgresLedger
from ledger.chart import account_id, account_ref
from ledger.flags import TransferFlags
from ledger.models import Transfer
from ledger.services.integrity import verify
from ledger.status import TransferStatus as S

LEDGER = PostgresLedger()


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    """Let each test connect to its own database."""
    yield
    LEDGER.close()


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work(i)` in as many threads, released together; their answers."""
    gate = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            gate.wait()
            answers[number] = work(number)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            answers[number] = error
        finally:
            LEDGER.close()
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def bank() -> Any:
    return account_ref("bank", new_id(), currency="USD", livemode=False)


def funded(amount: int) -> Any:
    wallet = account_ref("wallet", new_id(), currency="USD", livemode=False)
    spec = TransferSpec(id=new_id(), debit=bank(), credit=wallet, amount_minor=amount, code=61)
    assert LEDGER.post([spec])[0].ok
    return wallet


def test_64_connections_spend_one_balance_exactly_once() -> None:
    wallet, shop = funded(100), bank()
    LEDGER.open([shop])

    def spend(_: int) -> S:
        spec = TransferSpec(
            id=new_id(),
            debit=wallet.id,
            credit=shop.id,
            amount_minor=10,
            code=62,
            ledger=wallet.ledger,
        )
        return LEDGER.post([spec])[0].status

    assert Counter(at_once(64, spend)) == {S.CREATED: 10, S.EXCEEDS_CREDITS: 54}
    assert LEDGER.accounts([wallet.id])[0].debits_posted == 100


def test_batches_over_the_same_accounts_in_opposite_orders_never_deadlock() -> None:
    accounts = [bank() for _ in range(100)]
    LEDGER.open(accounts)
    pairs = list(pairwise(accounts))

    def batch(number: int) -> list[S]:
        order = pairs if number % 2 else pairs[::-1]
        answers: list[S] = []
        for _ in range(5):
            transfers = [
                TransferSpec(
                    id=new_id(),
                    debit=a.id,
                    credit=b.id,
                    amount_minor=1,
                    code=60,
                    ledger=a.ledger,
                )
                for a, b in order
            ]
            answers += [r.status for r in LEDGER.post(transfers)]
        return answers

    for answer in at_once(8, batch):
        assert set(answer) == {S.CREATED}


def test_batches_that_open_the_same_accounts_in_opposite_orders() -> None:
    accounts = [bank() for _ in range(40)]

    def batch(number: int) -> list[S]:
        order = accounts if number % 2 else accounts[::-1]
        return [
            r.status
            for r in LEDGER.post(
                [
                    TransferSpec(id=new_id(), debit=a, credit=b, amount_minor=1, code=60)
                    for a, b in pairwise(order)
                ]
            )
        ]

    for answer in at_once(6, batch):
        assert set(answer) == {S.CREATED}


def test_many_open_the_same_accounts_at_once() -> None:
    """The first payments of a merchant: each opens the accounts that none has seen yet."""
    for _ in range(15):
        pair = [bank(), account_ref("wallet", new_id(), currency="USD", livemode=False)]

        def open_both(_: int, pair: list[Any] = pair) -> Any:
            return LEDGER.open(pair)

        found = at_once(12, open_both)
        assert [error for error in found if isinstance(error, BaseException)] == []
        assert len(LEDGER.accounts([account.id for account in pair])) == 2


def test_a_name_belongs_to_one_account() -> None:
    name = f"named/{new_id()}"
    first = AccountSpec(account_id(name), name, 1020, 8400)
    LEDGER.open([first])
    with pytest.raises(IntegrityError):
        LEDGER.open([replace(first, id=new_id())])


def test_the_same_id_from_many_connections_is_booked_once() -> None:
    wallet, shop = funded(1000), bank()
    LEDGER.open([shop])
    spec = TransferSpec(
        id=new_id(), debit=wallet.id, credit=shop.id, amount_minor=10, code=62, ledger=wallet.ledger
    )

    found = Counter(at_once(20, lambda _: LEDGER.post([spec])[0].status))

    assert found == {S.CREATED: 1, S.EXISTS: 19}
    assert LEDGER.accounts([shop.id])[0].credits_posted == 10


@pytest.mark.usefixtures("own_database")
def test_expiry_racing_a_post_lets_one_of_them_win() -> None:
    wallet, shop = funded(1000), bank()
    LEDGER.open([shop])
    reserved = [
        TransferSpec(
            id=new_id(),
            debit=wallet.id,
            credit=shop.id,
            amount_minor=10,
            code=62,
            ledger=wallet.ledger,
            flags=TransferFlags.PENDING,
            timeout_s=1,
        )
        for _ in range(20)
    ]
    LEDGER.post(reserved)
    time.sleep(0.95)

    def race(number: int) -> Any:
        if number >= 20:
            return LEDGER.expire()
        time.sleep(0.005 * number)
        return LEDGER.post([post_pending(new_id(), reserved[number].id)])[0].status

    found = at_once(24, race)
    time.sleep(0.2)
    LEDGER.expire()

    posted = found[:20].count(S.CREATED)
    assert set(found[:20]) <= {S.CREATED, S.PENDING_TRANSFER_EXPIRED}
    b = LEDGER.accounts([wallet.id])[0]
    assert (b.debits_pending, b.debits_posted) == (0, 10 * posted)
    assert verify().fault == ""


def test_of_posts_and_voids_of_one_reservation_one_wins() -> None:
    wallet, shop = funded(1000), bank()
    LEDGER.open([shop])
    for _ in range(5):
        reserved = a_move(wallet, shop, flags=TransferFlags.PENDING)
        before = LEDGER.accounts([shop.id])[0].credits_posted
        assert LEDGER.post([reserved])[0].ok

        def settle(number: int, pending: UUID = reserved.id) -> S:
            settles = post_pending if number % 2 else void_pending
            return LEDGER.post([settles(new_id(), pending)])[0].status

        found = at_once(12, settle)

        winners = [number for number, status in enumerate(found) if status is S.CREATED]
        assert len(winners) == 1
        lost = (
            S.PENDING_TRANSFER_ALREADY_POSTED
            if winners[0] % 2
            else S.PENDING_TRANSFER_ALREADY_VOIDED
        )
        assert Counter(found) == {S.CREATED: 1, lost: 11}
        b = LEDGER.accounts([shop.id])[0]
        assert (b.credits_pending, b.credits_posted - before) == (0, 10 * (winners[0] % 2))


def test_timestamps_from_many_connections_increase_strictly() -> None:
    """Within a connection and within an account, whoever posts to it; no two are the same."""
    shared, own = bank(), [bank() for _ in range(6)]
    LEDGER.open([shared, *own])
    rounds = 15

    def post(number: int) -> list[UUID]:
        ids: list[UUID] = []
        for turn in range(rounds):
            # Alone and as batches: two roads, one order.
            specs = [a_move(own[number], shared) for _ in range(1 + turn % 2 * 3)]
            assert all(result.ok for result in LEDGER.post(specs))
            ids += [spec.id for spec in specs]
        return ids

    made = at_once(6, post)

    with tenant_atomic(Scope.worker()):
        rows = Transfer.objects.filter(credit_account_id=shared.id).order_by("timestamp")
        booked = [(t.id, t.timestamp, t.booked_at) for t in rows]
    assert len(booked) == len({stamp for _, stamp, _ in booked}) == sum(map(len, made))
    moments = [at for _, _, at in booked]
    assert all(before < after for before, after in pairwise(moments))
    for ids in made:
        assert [i for i, _, _ in booked if i in set(ids)] == ids


def a_move(debit: Any, credit: Any, **more: Any) -> TransferSpec:
    return TransferSpec(
        id=new_id(),
        debit=debit.id,
        credit=credit.id,
        amount_minor=10,
        code=62,
        ledger=debit.ledger,
        **more,
    )


def test_a_coalescer_answers_each_caller_with_its_own() -> None:
    wallet, shop = funded(500), bank()
    LEDGER.open([shop])

    def move(amount: int) -> TransferSpec:
        return TransferSpec(
            id=new_id(),
            debit=wallet.id,
            credit=shop.id,
            amount_minor=amount,
            code=62,
            ledger=wallet.ledger,
        )

    with Coalescer(LEDGER) as coalescer:

        def call(number: int) -> list[S]:
            if number % 4 == 0:
                return [r.status for r in coalescer.post(linked([move(1), move(10**9)]))]
            if number % 4 == 1:
                chain = [move(1), TransferSpec(**{**_fields(move(1)), "flags": TransferFlags(1)})]
                return [r.status for r in coalescer.post(chain)]
            return [r.status for r in coalescer.post([move(10)])]

        answers = at_once(64, call)

    for number, answer in enumerate(answers):
        if number % 4 == 0:
            assert answer == [S.LINKED_EVENT_FAILED, S.EXCEEDS_CREDITS]
        elif number % 4 == 1:
            assert answer == [S.CREATED, S.LINKED_EVENT_CHAIN_OPEN]
        else:
            assert answer == [S.CREATED]
    assert LEDGER.accounts([wallet.id])[0].debits_posted == 16 + 32 * 10


def _fields(spec: TransferSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in TransferSpec.__slots__}
