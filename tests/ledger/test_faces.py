"""The ledger over HTTP: its own alone, exact figures, clear errors, exports that stream."""

from __future__ import annotations

import csv
import io
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.ids import encode, new_id
from core.pagination import PageRequest
from ledger import selectors
from ledger.backends.postgres import PostgresLedger
from ledger.chart import AccountRef, MerchantBook, TransferCode, account_ref
from ledger.models import Account
from ledger.portal import csv_lines
from ledger.services import (
    TransferFlags,
    TransferSpec,
    TransferStatus,
    covered_by,
    linked,
    post_or_raise,
)
from tests.factories import Tenants, make_tenants


@pytest.fixture(scope="module")
def t() -> Tenants:
    found = make_tenants()
    fill(found)
    return found


def book_of(t: Tenants) -> MerchantBook:
    return MerchantBook(t.merchant.id, t.reseller.id, "USD", False)


def fill(t: Tenants) -> None:
    book, provider = book_of(t), new_id()
    moves = [
        (book.provider_clearing(provider), book.pending, 10_000, TransferCode.PAYMENT),
        (book.pending, book.platform_fee, 320, TransferCode.PLATFORM_FEE),
        (book.pending, book.available, 5_000, TransferCode.AVAILABLE),
        (book.available, book.reserve, 500, TransferCode.RESERVE_HOLD),
    ]
    with tenant_atomic(Scope.merchant(t.merchant.id)):
        post_or_raise(
            [
                TransferSpec(id=new_id(), debit=d, credit=c, amount_minor=amount, code=code)
                for d, c, amount, code in moves
            ]
        )


def get(t: Tenants, path: str, **query: Any) -> tuple[int, Any]:
    answer = Client().get(f"/v1/{path}", query, headers=t.headers(livemode=False))
    body = answer.json()
    return answer.status_code, body.get("data", body.get("error"))


def test_the_balance_by_currency(t: Tenants) -> None:
    status, data = get(t, "balance")
    assert status == 200
    assert data["balances"] == [
        {"currency": "USD", "pending": 4680, "available": 4500, "reserved": 500}
    ]


def test_accounts_are_the_merchants_own(t: Tenants) -> None:
    status, data = get(t, "ledger/accounts")
    assert status == 200
    assert {a["type"]: a["balance"] for a in data["items"]} == {
        "merchant_pending": 4680,
        "merchant_available": 4500,
        "merchant_reserve": 500,
    }


def test_a_statement_has_running_balances_and_pages(t: Tenants) -> None:
    account = encode("acc", book_of(t).pending.id)
    _, first = get(t, f"ledger/accounts/{account}/statement", limit=2)
    _, rest = get(t, f"ledger/accounts/{account}/statement", limit=2, cursor=first["next_cursor"])
    assert [line["balance"] for line in first["items"]] == [4680, 9680]
    assert [line["balance"] for line in rest["items"]] == [10_000]
    assert rest["has_more"] is False


def test_transfers_newest_first_and_one_by_its_id(t: Tenants) -> None:
    _, data = get(t, "ledger/transfers")
    assert [x["code"] for x in data["items"]] == [
        "reserve_hold",
        "available",
        "platform_fee",
        "payment",
    ]
    status, one = get(t, f"ledger/transfers/{data['items'][0]['id']}")
    assert (status, one) == (200, data["items"][0])


def test_a_merchants_journal_is_there_though_the_other_side_is_out_of_its_sight(
    t: Tenants,
) -> None:
    """The payment and its fee touch accounts of the platform, which the merchant cannot read."""
    other = make_tenants()
    fill(other)
    _, mine = get(t, "ledger/transfers")
    _, theirs = get(other, "ledger/transfers")
    assert len(mine["items"]) == len(theirs["items"]) == 4
    assert not {x["id"] for x in mine["items"]} & {x["id"] for x in theirs["items"]}
    seen = {account["id"] for account in get(t, "ledger/accounts")[1]["items"]}
    hidden = [x for x in mine["items"] if not {x["debit_account"], x["credit_account"]} <= seen]
    assert {x["code"] for x in hidden} == {"payment", "platform_fee"}
    for transfer in mine["items"]:
        status, one = get(t, f"ledger/transfers/{transfer['id']}")
        assert (status, one) == (200, transfer)
    for transfer in theirs["items"]:
        status, error = get(t, f"ledger/transfers/{transfer['id']}")
        assert (status, error["code"]) == (404, "transfer_missing")
    account = encode("acc", book_of(other).pending.id)
    status, error = get(t, "ledger/transfers", account=account)
    assert (status, error["code"]) == (404, "account_missing")
    # By pages the same four, each once.
    _, first = get(t, "ledger/transfers", limit=3)
    _, rest = get(t, "ledger/transfers", limit=3, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == mine["items"]
    assert rest["has_more"] is False


def pages(t: Tenants, path: str, limit: int, **query: Any) -> list[Any]:
    """All items of a list, page by page."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        status, data = get(t, path, limit=limit, **query, **cursor)
        assert (status, len(data["items"]) <= limit) == (200, True)
        items += data["items"]
        if not data["has_more"]:
            return items
        cursor = {"cursor": data["next_cursor"]}


def test_transfers_of_one_moment_are_listed_each_once(admin_dsn: str) -> None:
    """Booking times are unique within an account alone: a page may end between two of them."""
    t = make_tenants()
    book, provider = book_of(t), new_id()
    accounts = (book.pending, book.available, book.reserve, book.refunds, book.disputes)
    specs = [
        TransferSpec(
            id=new_id(),
            debit=book.provider_clearing(provider),
            credit=account,
            amount_minor=5,
            code=TransferCode.PAYMENT,
        )
        for account in accounts
    ]
    with tenant_atomic(Scope.merchant(t.merchant.id)):
        post_or_raise(specs)
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "UPDATE ledger_transfer SET booked_at = '2026-01-01' WHERE id = ANY (%s)",
            [[spec.id for spec in specs]],
        )

    expected = [encode("trf", i) for i in sorted((s.id for s in specs), reverse=True)]
    for limit in (1, 2, 100):
        assert [x["id"] for x in pages(t, "ledger/transfers", limit)] == expected


def test_a_reseller_of_many_accounts_misses_no_transfer(admin_dsn: str) -> None:
    t = make_tenants()
    refs = [
        AccountRef(
            name=f"{t.reseller.id}/{i}",
            code=2040,
            ledger=8400,
            reseller_id=t.reseller.id,
        )
        for i in range(1_200)
    ]
    bank = account_ref("bank", t.reseller.id, currency="USD", livemode=False)
    specs = [
        TransferSpec(id=new_id(), debit=bank, credit=ref, amount_minor=1, code=12) for ref in refs
    ]
    assert {r.status for r in PostgresLedger().post(specs)} == {TransferStatus.CREATED}
    actor = Actor(
        kind="user",
        id="usr_x",
        label="x",
        merchant_id=None,
        reseller_id=t.reseller.id,
        livemode=False,
        scopes=frozenset(),
        ip=None,
    )
    found: list[Any] = []
    cursor: str | None = None
    with tenant_atomic(Scope.reseller(t.reseller.id)):
        while True:
            page = selectors.transfers_page(actor=actor, page=PageRequest(limit=100, cursor=cursor))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
    assert [x.id for x in found] == [spec.id for spec in reversed(specs)]

    # The first page looks through about as many accounts as it has lines.
    looked_through: list[int] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "LATERAL" in sql:
            looked_through.append(len(params["ids"]))
        return execute(sql, params, many, context)

    with tenant_atomic(Scope.reseller(t.reseller.id)), connection.execute_wrapper(count):
        page = selectors.transfers_page(actor=actor, page=PageRequest(limit=9))
    assert [x.id for x in page.items] == [spec.id for spec in specs[:-10:-1]]
    assert looked_through == [20]

    # An account's time may be later than all of its transfers, after a linked set that failed.
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "UPDATE ledger_account SET last_booked_at = now() WHERE id = ANY (%s)",
            [[ref.id for ref in refs[:100]]],
        )
    with tenant_atomic(Scope.reseller(t.reseller.id)):
        page = selectors.transfers_page(actor=actor, page=PageRequest(limit=9))
    assert [x.id for x in page.items] == [spec.id for spec in specs[:-10:-1]]


def test_a_document_is_read_by_pages_and_another_tenants_is_empty() -> None:
    t, other = make_tenants(), make_tenants()
    book, document = book_of(t), new_id()
    specs = [
        TransferSpec(
            id=new_id(),
            debit=book.provider_clearing(document),
            credit=credit,
            amount_minor=amount,
            code=TransferCode.PAYMENT,
            document_id=document,
        )
        for amount, credit in ((1, book.pending), (2, book.available), (3, book.pending))
    ]
    with tenant_atomic(Scope.merchant(t.merchant.id)):
        post_or_raise(specs)

    for limit in (1, 2, 100):
        listed = pages(t, "ledger/transfers", limit, document=str(document))
        assert [x["amount"] for x in listed] == [1, 2, 3]
    account = encode("acc", book.pending.id)
    listed = pages(t, "ledger/transfers", 1, document=str(document), account=account)
    assert [x["amount"] for x in listed] == [1, 3]
    assert pages(other, "ledger/transfers", 1, document=str(document)) == []
    # The query names the tenant even where the policies would let everything through.
    for who, seen in ((t, 3), (other, 0)):
        actor = Actor(
            kind="user",
            id="usr_x",
            label="x",
            merchant_id=None,
            reseller_id=who.reseller.id,
            livemode=False,
            scopes=frozenset(),
            ip=None,
        )
        with tenant_atomic(Scope.staff()):
            page = selectors.transfers_page(actor=actor, page=PageRequest(), document_id=document)
        assert len(page.items) == seen


def test_an_account_without_history_says_no_balance_rather_than_nought() -> None:
    t = make_tenants()
    fill(t)
    book, moved = book_of(t), new_id()
    guarded = TransferSpec(
        id=moved, debit=book.available, credit=book.pending, amount_minor=100, code=90
    )
    with tenant_atomic(Scope.merchant(t.merchant.id)):
        post_or_raise(
            linked([*covered_by(book.available, book.control, 100, transfer_id=moved), guarded])
        )
    _, data = get(t, f"ledger/accounts/{encode('acc', book.control.id)}/statement")
    assert [line["balance"] for line in data["items"]] == [None, None]
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book.control.id)
    rows = list(
        csv.DictReader(io.StringIO(b"".join(csv_lines(t.scope, account)).decode("utf-8-sig")))
    )
    assert [(r["amount"], r["balance"]) for r in rows] == [("1.00", ""), ("-1.00", "")]


@pytest.mark.parametrize("path", ["ledger/accounts/{}", "ledger/accounts/{}/statement"])
def test_another_merchants_account_does_not_exist(t: Tenants, path: str) -> None:
    other = make_tenants()
    status, error = get(other, path.format(encode("acc", book_of(t).pending.id)))
    assert (status, error["code"]) == (404, "account_missing")


def test_the_platforms_account_for_the_merchant_does_not_exist_for_it(t: Tenants) -> None:
    status, _ = get(t, f"ledger/accounts/{encode('acc', book_of(t).platform_fee.id)}")
    assert status == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("ledger/accounts", {"cursor": "nonsense"}),
        ("ledger/accounts", {"type": "nonsense"}),
        ("ledger/accounts", {"currency": "XXX"}),
        ("ledger/accounts", {"colour": "red"}),
        ("ledger/transfers", {"cursor": "AAAA"}),
        ("ledger/transfers", {"cursor": "AAAAAAAAAAA"}),
        ("ledger/transfers", {"cursor": "_" * 32}),
        ("ledger/transfers", {"cursor": "nonsense", "document": str(new_id())}),
        ("ledger/transfers", {"document": "1"}),
        ("balance", {"x": "1"}),
    ],
)
def test_bad_queries_are_refused(t: Tenants, path: str, query: dict[str, str]) -> None:
    status, error = get(t, path, **query)
    assert status == 400
    assert error["type"] == "invalid_request_error"


def test_the_csv_holds_every_line_with_its_balance(t: Tenants) -> None:
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book_of(t).pending.id)
    rows = list(
        csv.DictReader(io.StringIO(b"".join(csv_lines(t.scope, account)).decode("utf-8-sig")))
    )
    assert [(r["what"], r["amount"], r["balance"]) for r in rows] == [
        ("payment", "100.00", "100.00"),
        ("platform_fee", "-3.20", "96.80"),
        ("available", "-50.00", "46.80"),
    ]


def test_an_export_holds_nothing_while_its_reader_is_slow_and_ends_where_it_began() -> None:
    t = make_tenants()
    fill(t)
    with tenant_atomic(t.scope):
        account = Account.objects.get(id=book_of(t).pending.id)
        whole = len(list(selectors.statement_stream(account=account, scope=t.scope)))
    lines = selectors.statement_stream(account=account, scope=t.scope, chunk=1)
    read = [next(lines)]
    assert not connection.in_atomic_block
    fill(t)  # booked while it is read
    read += lines
    assert len(read) == whole


def test_a_pending_transfer_says_so(t: Tenants) -> None:
    other = make_tenants()
    book = book_of(other)
    document = new_id()
    with tenant_atomic(Scope.merchant(other.merchant.id)):
        post_or_raise(
            [
                TransferSpec(
                    id=new_id(),
                    debit=book.provider_clearing(new_id()),
                    credit=book.pending,
                    amount_minor=5,
                    code=TransferCode.PAYMENT,
                    flags=TransferFlags.PENDING,
                    document_id=document,
                )
            ]
        )
    _, data = get(other, "ledger/transfers", document=str(document))
    assert [x["state"] for x in data["items"]] == ["pending"]
