"""Posting inside a caller's transaction: what a payment does."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection

from core.db import Scope, fetch_one, tenant_atomic
from core.ids import new_id
from ledger.chart import MerchantBook, TransferCode
from ledger.models import Account, Transfer
from ledger.services import (
    LedgerRefused,
    TransferFlags,
    TransferSpec,
    TransferStatus,
    linked,
    post,
    post_or_raise,
    post_pending,
    void_pending,
)


def a_book(currency: str = "USD") -> MerchantBook:
    return MerchantBook(new_id(), new_id(), currency, False)


def held(book: MerchantBook, what: str) -> tuple[int, int]:
    """Credits less debits of an account: posted, and pending."""
    with tenant_atomic(Scope.worker()):
        a = Account.objects.get(id=getattr(book, what).id)
    return a.credits_posted - a.debits_posted, a.credits_pending - a.debits_pending


def authorize(book: MerchantBook, amount: int, provider: UUID) -> UUID:
    transfer_id = new_id()
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise(
            [
                TransferSpec(
                    id=transfer_id,
                    debit=book.provider_clearing(provider),
                    credit=book.pending,
                    amount_minor=amount,
                    code=TransferCode.PAYMENT,
                    flags=TransferFlags.PENDING,
                )
            ]
        )
    return transfer_id


def test_a_merchant_reserves_then_captures_in_part_with_its_fees() -> None:
    book, provider, document = a_book(), new_id(), new_id()
    pending = authorize(book, 10_000, provider)
    assert held(book, "pending") == (0, 10_000)

    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise(
            linked(
                [
                    post_pending(new_id(), pending, 8_000, document_id=document),
                    TransferSpec(
                        id=new_id(),
                        debit=book.pending,
                        credit=book.platform_fee,
                        amount_minor=262,
                        code=TransferCode.PLATFORM_FEE,
                        document_id=document,
                    ),
                    TransferSpec(
                        id=new_id(),
                        debit=book.platform_fee,
                        credit=book.reseller_residual,
                        amount_minor=100,
                        code=TransferCode.RESELLER_RESIDUAL,
                        document_id=document,
                    ),
                ]
            )
        )

    assert held(book, "pending") == (7_738, 0)
    assert held(book, "platform_fee") == (162, 0)
    assert held(book, "reseller_residual") == (100, 0)


def test_a_void_releases_the_reservation() -> None:
    book, provider = a_book(), new_id()
    pending = authorize(book, 500, provider)

    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise([void_pending(new_id(), pending)])

    assert held(book, "pending") == (0, 0)


def test_a_linked_set_that_fails_books_nothing_and_names_its_member() -> None:
    book, provider = a_book(), new_id()
    pending = authorize(book, 500, provider)
    bad = new_id()

    with tenant_atomic(Scope.merchant(book.merchant_id)), pytest.raises(LedgerRefused) as refused:
        post_or_raise(
            linked(
                [
                    post_pending(new_id(), pending),
                    TransferSpec(
                        id=bad, debit=book.reserve, credit=book.pending, amount_minor=1, code=90
                    ),
                ]
            )
        )

    assert refused.value.transfer_id == bad
    assert refused.value.result_status is TransferStatus.EXCEEDS_CREDITS
    assert held(book, "pending") == (0, 500)


def test_the_same_set_sent_again_counts_as_booked() -> None:
    book, provider = a_book(), new_id()
    transfers = linked(
        [
            TransferSpec(
                id=new_id(),
                debit=book.provider_clearing(provider),
                credit=book.pending,
                amount_minor=100,
                code=10,
            ),
            TransferSpec(
                id=new_id(), debit=book.pending, credit=book.platform_fee, amount_minor=5, code=11
            ),
        ]
    )
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise(transfers)
        again = post_or_raise(transfers)

    assert [r.status for r in again] == [TransferStatus.EXISTS] * 2
    assert held(book, "pending") == (95, 0)


def test_another_merchants_accounts_are_not_found() -> None:
    mine, theirs, provider = a_book(), a_book(), new_id()
    authorize(theirs, 500, provider)
    authorize(mine, 500, provider)
    spec = TransferSpec(
        id=new_id(),
        debit=theirs.pending.id,
        credit=mine.pending.id,
        amount_minor=1,
        code=90,
        ledger=mine.pending.ledger,
    )

    with tenant_atomic(Scope.merchant(mine.merchant_id)):
        answers = post([spec])

    assert [a.status for a in answers] == [TransferStatus.DEBIT_ACCOUNT_NOT_FOUND]
    assert held(theirs, "pending") == (0, 500)


def test_a_merchant_sees_its_own_accounts_and_transfers_alone() -> None:
    mine, theirs, provider = a_book(), a_book(), new_id()
    authorize(theirs, 500, provider)
    pending = authorize(mine, 500, provider)

    with tenant_atomic(Scope.merchant(mine.merchant_id)):
        names = set(Account.objects.values_list("name", flat=True))
        transfers = set(Transfer.objects.values_list("id", flat=True))

    assert names == {mine.pending.name}
    assert transfers == {pending}


def test_inside_a_scope_a_caller_cannot_post_as_somebody_else() -> None:
    mine, theirs, provider = a_book(), a_book(), new_id()
    authorize(theirs, 500, provider)
    authorize(mine, 500, provider)

    with tenant_atomic(Scope.merchant(mine.merchant_id)):
        row = fetch_one(
            "SELECT ledger_post(ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid],"
            " ARRAY[1::bigint], ARRAY[8400], ARRAY[90], p_role => 'app_worker')",
            [new_id(), theirs.pending.id, mine.pending.id],
        )

    assert row == ([-TransferStatus.DEBIT_ACCOUNT_NOT_FOUND],)
    assert held(theirs, "pending") == (0, 500)


def test_outside_a_scope_nothing_is_posted_without_naming_one() -> None:
    book = a_book()
    authorize(book, 500, new_id())
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="needs a scope"):
        cursor.execute(
            "SELECT ledger_post(ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid],"
            " ARRAY[1::bigint], ARRAY[8400], ARRAY[90])",
            [new_id(), book.platform_fee.id, book.pending.id],
        )
    assert held(book, "pending") == (0, 500)


@pytest.mark.parametrize(
    ("login", "scopes"),
    [
        ("merchantry_web", {"app_merchant", "app_reseller"}),
        ("merchantry_console", {"app_staff"}),
        ("merchantry_worker", {"app_merchant", "app_reseller", "app_worker"}),
    ],
)
def test_outside_a_scope_a_process_posts_in_those_alone_that_it_opens(
    login: str, scopes: set[str], process_dsns: dict[str, str]
) -> None:
    book = a_book()
    authorize(book, 500, new_id())
    posted = set()
    with psycopg.connect(process_dsns[login]) as conn:
        for scope in ("app_merchant", "app_reseller", "app_staff", "app_worker"):
            try:
                conn.execute(
                    "SELECT ledger_post(ARRAY[%s::uuid], ARRAY[%s::uuid], ARRAY[%s::uuid],"
                    " ARRAY[1::bigint], ARRAY[8400], ARRAY[90], p_role => %s, p_tenant => %s)",
                    [new_id(), book.platform_fee.id, book.pending.id, scope, book.merchant_id],
                )
                posted.add(scope)
            except psycopg.errors.InsufficientPrivilege as error:
                if f"{login} does not post as {scope}" not in str(error):
                    raise
            conn.rollback()
    assert posted == scopes
    assert held(book, "pending") == (0, 500)
