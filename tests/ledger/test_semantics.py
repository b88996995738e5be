"""Every answer of the ledger, by name, on every backend.

TigerBeetle's server is in no package registry: its half runs where `TIGERBEETLE_ADDRESSES` is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.errors import InvalidRequest
from core.ids import new_id
from ledger.backends.base import (
    AMOUNT_MAX,
    AccountSpec,
    Ledger,
    TransferSpec,
    linked,
    post_pending,
    void_pending,
)
from ledger.backends.postgres import PostgresLedger
from ledger.chart import AccountRef, account_id, ledger_number
from ledger.flags import AccountFlags as A
from ledger.flags import TransferFlags as F
from ledger.status import AccountStatus
from ledger.status import TransferStatus as S

USD, EUR = ledger_number("USD", False), ledger_number("EUR", False)
ZERO, ONES = UUID(int=0), UUID(int=2**128 - 1)
WITHOUT_CLUSTER = "TigerBeetle is not tried: set TIGERBEETLE_ADDRESSES to run this half"


CLUSTER = os.environ.get("TIGERBEETLE_ADDRESSES", "")


@pytest.fixture(scope="module", params=["postgres", *(["tigerbeetle"] if CLUSTER else [])])
def ledger(request: Any) -> Iterator[Ledger]:
    if request.param == "postgres":
        yield PostgresLedger()
        return
    from ledger.backends.tigerbeetle import TigerBeetleLedger

    cluster = TigerBeetleLedger(CLUSTER)
    yield cluster
    cluster.close()


@pytest.mark.skipif(not CLUSTER, reason=WITHOUT_CLUSTER)
def test_the_cluster_answers() -> None:
    from ledger.backends.tigerbeetle import TigerBeetleLedger

    cluster = TigerBeetleLedger(CLUSTER)
    assert cluster.accounts([new_id()]) == []
    cluster.close()


class Books:
    """Fresh accounts: `bank` without a limit, `wallet` and `till` limited on one side each."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        run = new_id()
        self.specs = {
            name: AccountSpec(account_id(f"{run}/{name}"), f"{run}/{name}", 2080, number, flags)
            for name, number, flags in (
                ("bank", USD, A.HISTORY),
                ("shop", USD, A.NONE),
                ("wallet", USD, A.HISTORY | A.DEBITS_MUST_NOT_EXCEED_CREDITS),
                ("till", USD, A.CREDITS_MUST_NOT_EXCEED_DEBITS),
                ("euro", EUR, A.NONE),
            )
        }
        ledger.open(list(self.specs.values()))
        self.bank, self.shop, self.wallet, self.till, self.euro = (
            spec.id for spec in self.specs.values()
        )

    def move(self, debit: Any = None, credit: Any = None, amount: Any = 10, **more: Any) -> Any:
        values: dict[str, Any] = {"id": new_id(), "code": 10, "ledger": USD} | more
        return TransferSpec(
            debit=debit or self.bank, credit=credit or self.shop, amount_minor=amount, **values
        )

    def post(self, *transfers: TransferSpec) -> list[S]:
        return [result.status for result in self.ledger.post(transfers)]

    def pending(self, amount: int = 10, **more: Any) -> TransferSpec:
        spec: TransferSpec = self.move(amount=amount, flags=F.PENDING, **more)
        assert self.post(spec) == [S.CREATED]
        return spec

    def of(self, account: UUID) -> tuple[int, int, int, int]:
        b = self.ledger.accounts([account])[0]
        return b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted


@pytest.fixture
def books(ledger: Ledger) -> Books:
    return Books(ledger)


STATIC: dict[S, Callable[[Books], TransferSpec]] = {
    S.CREATED: lambda b: b.move(),
    S.LINKED_EVENT_CHAIN_OPEN: lambda b: b.move(flags=F.LINKED),
    S.RESERVED_FLAG: lambda b: b.move(flags=F(1 << 12)),
    S.ID_MUST_NOT_BE_ZERO: lambda b: b.move(id=ZERO),
    S.ID_MUST_NOT_BE_INT_MAX: lambda b: b.move(id=ONES),
    S.FLAGS_ARE_MUTUALLY_EXCLUSIVE: lambda b: b.move(flags=F.PENDING | F.POST_PENDING),
    S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO: lambda b: b.move(debit=ZERO),
    S.DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX: lambda b: b.move(debit=ONES),
    S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO: lambda b: b.move(credit=ZERO),
    S.CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX: lambda b: b.move(credit=ONES),
    S.ACCOUNTS_MUST_BE_DIFFERENT: lambda b: b.move(debit=b.bank, credit=b.bank),
    S.PENDING_ID_MUST_BE_ZERO: lambda b: b.move(pending_id=new_id()),
    S.PENDING_ID_MUST_NOT_BE_ZERO: lambda b: TransferSpec(id=new_id(), flags=F.VOID_PENDING),
    S.PENDING_ID_MUST_NOT_BE_INT_MAX: lambda b: void_pending(new_id(), ONES),
    S.PENDING_ID_MUST_BE_DIFFERENT: lambda b: void_pending(UUID(int=77), UUID(int=77)),
    S.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER: lambda b: b.move(timeout_s=5),
    S.CLOSING_TRANSFER_MUST_BE_PENDING: lambda b: b.move(flags=F.CLOSING_DEBIT),
    S.AMOUNT_MUST_NOT_BE_ZERO: lambda b: b.move(amount=0),
    S.AMOUNT_MUST_NOT_BE_NEGATIVE: lambda b: b.move(amount=-1),
    S.LEDGER_MUST_NOT_BE_ZERO: lambda b: b.move(ledger=0),
    S.CODE_MUST_NOT_BE_ZERO: lambda b: b.move(code=0),
    S.DEBIT_ACCOUNT_NOT_FOUND: lambda b: b.move(debit=new_id()),
    S.CREDIT_ACCOUNT_NOT_FOUND: lambda b: b.move(credit=new_id()),
    S.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER: lambda b: b.move(credit=b.euro),
    S.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS: lambda b: b.move(ledger=EUR),
    S.PENDING_TRANSFER_NOT_FOUND: lambda b: void_pending(new_id(), new_id()),
    S.EXCEEDS_CREDITS: lambda b: b.move(debit=b.wallet),
    S.EXCEEDS_DEBITS: lambda b: b.move(credit=b.till),
}


@pytest.mark.parametrize("status", STATIC, ids=lambda status: status.name.lower())
def test_a_transfer_alone_answers(books: Books, status: S) -> None:
    spec = STATIC[status](books)
    # Alone, and as one of a batch: two roads through the ledger, one answer.
    assert books.post(spec) == [status]
    again = replace(spec, id=spec.id if spec.id in (ZERO, ONES) else new_id())
    if status not in (S.LINKED_EVENT_CHAIN_OPEN, S.PENDING_ID_MUST_BE_DIFFERENT):
        assert books.post(again, books.move()) == [status, S.CREATED]
        assert books.of(books.shop)[3] == (30 if status is S.CREATED else 10)


SETTLING: dict[S, Callable[[Books, TransferSpec], TransferSpec]] = {
    S.CREATED: lambda b, p: post_pending(new_id(), p.id, 4),
    S.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID: lambda b, p: void_pending(
        new_id(), p.id, debit=b.till
    ),
    S.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID: lambda b, p: void_pending(
        new_id(), p.id, credit=b.till
    ),
    S.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER: lambda b, p: void_pending(new_id(), p.id, ledger=EUR),
    S.PENDING_TRANSFER_HAS_DIFFERENT_CODE: lambda b, p: void_pending(new_id(), p.id, code=11),
    S.EXCEEDS_PENDING_TRANSFER_AMOUNT: lambda b, p: post_pending(new_id(), p.id, 11),
    S.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT: lambda b, p: void_pending(
        new_id(), p.id, amount_minor=9
    ),
}


@pytest.mark.parametrize("status", SETTLING, ids=lambda status: status.name.lower())
def test_settling_answers(books: Books, status: S) -> None:
    pending = books.pending(10)

    assert books.post(SETTLING[status](books, pending)) == [status]

    settled = status is S.CREATED
    assert books.of(books.shop) == ((0, 0, 0, 4) if settled else (0, 0, 10, 0))


def test_pending_transfer_not_pending(books: Books) -> None:
    plain = books.move()
    assert books.post(plain, void_pending(new_id(), plain.id)) == [
        S.CREATED,
        S.PENDING_TRANSFER_NOT_PENDING,
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (post_pending, S.PENDING_TRANSFER_ALREADY_POSTED),
        (void_pending, S.PENDING_TRANSFER_ALREADY_VOIDED),
    ],
)
def test_a_pending_transfer_is_settled_once(books: Books, first: Any, second: S) -> None:
    pending = books.pending()
    assert books.post(first(new_id(), pending.id)) == [S.CREATED]
    before = books.of(books.shop)

    assert books.post(post_pending(new_id(), pending.id)) == [second]
    assert books.post(void_pending(new_id(), pending.id), books.move()) == [second, S.CREATED]
    assert books.of(books.shop)[3] == before[3] + 10


def test_a_post_in_the_same_batch_as_what_it_settles(books: Books) -> None:
    pending = books.move(flags=F.PENDING)
    assert books.post(pending, post_pending(new_id(), pending.id, 6)) == [S.CREATED] * 2
    assert books.of(books.shop) == (0, 0, 0, 6)


DIFFERENT: dict[S, dict[str, Any]] = {
    S.EXISTS: {},
    S.EXISTS_WITH_DIFFERENT_FLAGS: {"flags": F.NONE},
    S.EXISTS_WITH_DIFFERENT_TIMEOUT: {"timeout_s": 901},
    S.EXISTS_WITH_DIFFERENT_AMOUNT: {"amount_minor": 11},
    S.EXISTS_WITH_DIFFERENT_USER_DATA_128: {"document_id": UUID(int=8)},
    S.EXISTS_WITH_DIFFERENT_USER_DATA_32: {"effective_on": date(2026, 1, 2)},
    S.EXISTS_WITH_DIFFERENT_LEDGER: {"ledger": EUR},
    S.EXISTS_WITH_DIFFERENT_CODE: {"code": 11},
}


@pytest.mark.parametrize("status", DIFFERENT, ids=lambda status: status.name.lower())
def test_an_id_used_again_answers(books: Books, status: S) -> None:
    spec = books.pending(timeout_s=900, document_id=UUID(int=7), effective_on=date(2026, 1, 1))
    again = replace(spec, **DIFFERENT[status])

    assert books.post(again) == [status]
    assert books.post(again, books.move(flags=F.PENDING)) == [status, S.CREATED]
    assert books.of(books.shop) == (0, 0, 20, 0)


def test_an_id_used_again_for_other_accounts(books: Books) -> None:
    spec = books.move()
    books.post(spec)
    assert books.post(replace(spec, debit=books.till)) == [S.EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID]
    assert books.post(replace(spec, credit=books.wallet)) == [
        S.EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID
    ]
    assert books.of(books.shop) == (0, 0, 0, 10)


def test_an_id_used_again_for_another_pending_transfer(books: Books) -> None:
    one, other = books.pending(), books.pending()
    post = post_pending(new_id(), one.id)
    books.post(post)
    assert books.post(replace(post, pending_id=other.id)) == [S.EXISTS_WITH_DIFFERENT_PENDING_ID]


def test_id_already_failed_stays_refused_when_the_balance_would_allow_it(books: Books) -> None:
    spec = books.move(debit=books.wallet, amount=5)
    assert books.post(spec) == [S.EXCEEDS_CREDITS]
    assert books.post(books.move(credit=books.wallet, amount=100)) == [S.CREATED]

    assert books.post(spec) == [S.ID_ALREADY_FAILED]
    assert books.post(books.move(), spec) == [S.CREATED, S.ID_ALREADY_FAILED]
    assert books.of(books.wallet) == (0, 0, 0, 100)
    assert books.post(replace(spec, id=new_id())) == [S.CREATED]


def test_a_linked_set_fails_whole_and_others_stand(books: Books) -> None:
    bad = linked([books.move(), books.move(debit=books.wallet), books.move()])
    good = linked([books.move(amount=1), books.move(amount=2)])
    assert books.post(books.move(amount=4), *bad, *good) == [
        S.CREATED,
        S.LINKED_EVENT_FAILED,
        S.EXCEEDS_CREDITS,
        S.LINKED_EVENT_FAILED,
        S.CREATED,
        S.CREATED,
    ]
    assert books.of(books.shop) == (0, 0, 0, 7)


def test_a_linked_set_undoes_its_settling_and_closing(books: Books) -> None:
    pending = books.pending()
    closing = books.move(amount=0, flags=F.PENDING | F.CLOSING_CREDIT)
    failing = books.move(debit=books.wallet, credit=books.till)
    answers = books.post(*linked([void_pending(new_id(), pending.id), closing, failing]))
    assert answers == [S.LINKED_EVENT_FAILED, S.LINKED_EVENT_FAILED, S.EXCEEDS_CREDITS]
    assert books.post(post_pending(new_id(), pending.id)) == [S.CREATED]


def test_an_open_chain_at_the_end_of_a_batch(books: Books) -> None:
    chain = [books.move(flags=F.LINKED), books.move(flags=F.LINKED)]
    assert books.post(books.move(), *chain) == [
        S.CREATED,
        S.LINKED_EVENT_FAILED,
        S.LINKED_EVENT_CHAIN_OPEN,
    ]
    assert books.of(books.shop) == (0, 0, 0, 10)


def test_balancing_debit_moves_at_most_what_is_there(books: Books) -> None:
    books.post(books.move(credit=books.wallet, amount=70))
    spec = books.move(debit=books.wallet, amount=100, flags=F.BALANCING_DEBIT)
    [result] = books.ledger.post([spec])
    assert (result.status, result.amount_minor) == (S.CREATED, 70)
    assert books.of(books.wallet) == (0, 70, 0, 70)
    assert books.post(spec) == [S.EXISTS]


def test_balancing_credit_moves_at_most_what_lacks(books: Books) -> None:
    books.post(books.move(debit=books.till, amount=30))
    spec = books.move(credit=books.till, amount=None, flags=F.BALANCING_CREDIT)
    [result] = books.ledger.post([spec])
    assert (result.status, result.amount_minor) == (S.CREATED, 30)
    assert books.of(books.till) == (0, 30, 0, 30)


def test_closing_and_reopening_an_account(books: Books) -> None:
    before = books.pending()
    closing = books.move(amount=0, flags=F.PENDING | F.CLOSING_CREDIT)
    assert books.post(closing) == [S.CREATED]
    assert books.post(books.move()) == [S.CREDIT_ACCOUNT_ALREADY_CLOSED]
    assert books.post(books.move(debit=books.shop, credit=books.bank)) == [
        S.DEBIT_ACCOUNT_ALREADY_CLOSED
    ]
    assert books.post(post_pending(new_id(), before.id)) == [S.CREDIT_ACCOUNT_ALREADY_CLOSED]
    assert books.post(void_pending(new_id(), before.id)) == [S.CREATED]
    assert books.post(void_pending(new_id(), closing.id)) == [S.CREATED]
    assert books.post(books.move()) == [S.CREATED]


def test_accounts_that_are_opened_again_answer_what_differs(books: Books) -> None:
    wallet = books.specs["wallet"]
    assert books.ledger.open(
        [
            wallet,
            replace(wallet, flags=A.HISTORY),
            replace(wallet, code=2040),
            replace(wallet, ledger=EUR),
            replace(wallet, id=ZERO),
            replace(wallet, id=ONES),
            replace(wallet, id=new_id(), name=str(new_id()), flags=A(6)),
            replace(wallet, id=new_id(), name=str(new_id()), flags=A(1)),
            replace(wallet, id=ZERO, name=str(new_id()), flags=A(1 << 10)),
            replace(wallet, user_data=new_id()),
            replace(wallet, id=new_id(), name=str(new_id()), ledger=0),
            replace(wallet, id=new_id(), name=str(new_id()), code=0),
            replace(wallet, id=new_id(), name=str(new_id()), code=999),
        ]
    ) == [
        AccountStatus.EXISTS,
        AccountStatus.EXISTS_WITH_DIFFERENT_FLAGS,
        AccountStatus.EXISTS_WITH_DIFFERENT_CODE,
        AccountStatus.EXISTS_WITH_DIFFERENT_LEDGER,
        AccountStatus.ID_MUST_NOT_BE_ZERO,
        AccountStatus.ID_MUST_NOT_BE_INT_MAX,
        AccountStatus.FLAGS_ARE_MUTUALLY_EXCLUSIVE,
        AccountStatus.RESERVED_FLAG,
        AccountStatus.RESERVED_FLAG,
        AccountStatus.EXISTS_WITH_DIFFERENT_OWNER,
        AccountStatus.LEDGER_MUST_NOT_BE_ZERO,
        AccountStatus.CODE_MUST_NOT_BE_ZERO,
        AccountStatus.CODE_UNKNOWN,
    ]


def test_history_keeps_the_balances_after_every_transfer(books: Books) -> None:
    for amount in (5, 6):
        books.post(books.move(credit=books.wallet, amount=amount))
    points = books.ledger.history(books.wallet)
    assert [p.credits_posted for p in points] == [11, 5]


def test_a_full_batch_and_one_too_many(books: Books) -> None:
    batch = [books.move(amount=1) for _ in range(8190)]
    assert set(books.post(*batch)) == {S.CREATED}
    assert books.of(books.shop) == (0, 0, 0, 8190)
    with pytest.raises(InvalidRequest, match="at most 8190"):
        books.post(*batch, books.move())


def test_an_amount_beyond_64_bits_is_refused_before_it_is_sent(books: Books) -> None:
    with pytest.raises(InvalidRequest, match="64 bits"):
        books.post(books.move(amount=AMOUNT_MAX + 1))
    assert books.of(books.shop) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (F.NONE, F.NONE, S.OVERFLOWS_DEBITS_POSTED),
        (F.PENDING, F.PENDING, S.OVERFLOWS_DEBITS_PENDING),
        (F.PENDING, F.NONE, S.OVERFLOWS_DEBITS),
        (F.NONE, F.NONE, S.OVERFLOWS_CREDITS_POSTED),
        (F.PENDING, F.PENDING, S.OVERFLOWS_CREDITS_PENDING),
        (F.PENDING, F.NONE, S.OVERFLOWS_CREDITS),
    ],
)
def test_sums_beyond_64_bits(first: F, second: F, status: S) -> None:
    """PostgreSQL alone: TigerBeetle's amounts have 128 bits."""
    books = Books(PostgresLedger())
    assert books.post(books.move(amount=AMOUNT_MAX, flags=first)) == [S.CREATED]
    before = books.of(books.shop)
    # The same debit account is full already, or another one fills the same credit account.
    debit = books.till if "CREDITS" in status.name else books.bank
    credit = books.shop if "CREDITS" in status.name else books.wallet
    for batch in ([], [books.move(debit=books.till, credit=books.wallet)]):
        spec = books.move(debit=debit, credit=credit, amount=1, flags=second)
        assert books.post(spec, *batch) == [status, *(S.CREATED for _ in batch)]
    assert books.of(books.shop) == before


def test_exists_with_different_corrects() -> None:
    """PostgreSQL alone: a cluster has no field for it."""
    books = Books(PostgresLedger())
    spec = books.move(corrects=new_id())
    assert books.post(spec) == [S.CREATED]
    for other in (None, new_id()):
        again = replace(spec, corrects=other)
        assert books.post(again) == [S.EXISTS_WITH_DIFFERENT_CORRECTS]
        assert books.post(again, books.move()) == [S.EXISTS_WITH_DIFFERENT_CORRECTS, S.CREATED]
    assert books.post(spec) == [S.EXISTS]


def test_the_accounts_of_two_merchants_meet_only_through_the_platform() -> None:
    """PostgreSQL alone: who may see what is no business of a cluster."""
    ledger = PostgresLedger()
    refs = [
        AccountRef(name=f"{new_id()}/x", code=2040, ledger=USD, merchant_id=new_id())
        for _ in range(2)
    ]
    spec = TransferSpec(id=new_id(), debit=refs[0], credit=refs[1], amount_minor=1, code=10)
    assert [r.status for r in ledger.post([spec])] == [S.ACCOUNTS_MUST_HAVE_THE_SAME_MERCHANT]
    assert ledger.accounts([refs[0].id])[0].debits_posted == 0


def test_the_accounts_of_two_resellers_meet_only_through_the_platform() -> None:
    """PostgreSQL alone. A transfer is one reseller's: the other's statement would lack it."""
    ledger = PostgresLedger()
    refs = [
        AccountRef(name=f"{new_id()}/x", code=2040, ledger=USD, reseller_id=new_id())
        for _ in range(2)
    ]
    books = Books(ledger)
    for batch in ([], [books.move()]):
        spec = TransferSpec(id=new_id(), debit=refs[0], credit=refs[1], amount_minor=1, code=10)
        assert books.post(spec, *batch) == [
            S.ACCOUNTS_MUST_HAVE_THE_SAME_RESELLER,
            *(S.CREATED for _ in batch),
        ]
    assert ledger.accounts([refs[0].id])[0].debits_posted == 0
    # With the platform's, and with those of its own merchants, a reseller's may move.
    own = AccountRef(
        name=f"{new_id()}/x",
        code=2040,
        ledger=USD,
        reseller_id=refs[0].reseller_id,
        merchant_id=new_id(),
    )
    assert (
        books.post(
            books.move(debit=refs[0]), books.move(debit=refs[0], credit=own), books.move(debit=own)
        )
        == [S.CREATED] * 3
    )


def test_every_status_says_what_it_means() -> None:
    for statuses in (S, AccountStatus):
        assert all(status.words.endswith(".") for status in statuses)
        assert len({status.words for status in statuses}) == len(statuses)


def test_every_status_is_tried_by_name() -> None:
    source = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    missing = [s.name for s in S if not re.search(rf"\bS\.{s.name}\b", source)]
    # Timeouts have 31 bits of seconds, which no date is too small for.
    assert missing == ["OVERFLOWS_TIMEOUT"]
    for status in AccountStatus:
        assert re.search(rf"\bAccountStatus\.{status.name}\b", source), status.name
