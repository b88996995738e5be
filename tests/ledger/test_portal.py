"""The balance page and the statement in the portal."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.test import Client

from core.db import tenant_atomic
from core.ids import encode, new_id
from ledger import portal
from ledger.chart import AccountRef, MerchantBook, TransferCode
from ledger.services import TransferFlags, TransferSpec, post_or_raise
from payments.acceptance.models import Refund
from tests.factories import Tenants, make_tenants
from tests.ledger.test_faces import book_of, fill
from tests.portal.support import take_payment
from tests.tenants.test_permission_table import browser_for


@pytest.fixture(scope="module")
def t() -> Tenants:
    found = make_tenants(totp=True)
    fill(found)
    return found


def owner(t: Tenants) -> Client:
    return browser_for(t, "merchant", "owner")


def test_the_balance_page_shows_what_is_there(t: Tenants) -> None:
    answer = owner(t).get("/balance")
    shown = answer.content.decode()
    assert answer.status_code == 200
    for amount in ("46.80", "45.00", "5.00"):
        assert amount in shown
    assert "highest on" in shown
    assert "with $91.80." in shown


def test_an_empty_balance_says_so() -> None:
    answer = owner(make_tenants(totp=True)).get("/balance")
    assert "No money yet" in answer.content.decode()


def test_the_statement_with_its_exports(t: Tenants) -> None:
    client: Any = owner(t)
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}"
    shown = client.get(address).content.decode()
    assert "Platform fee" in shown
    assert "96.80" in shown
    assert b"46.80" in b"".join(client.get(f"{address}/statement.csv").streaming_content)
    assert client.get(f"{address}?from=nonsense").status_code == 400
    for far in ("to=9999-12-31", "from=9999-12-31", "from=0001-01-01"):
        assert client.get(f"{address}?{far}").status_code == 400
        assert client.get(f"{address}/statement.csv?{far}").status_code == 400
    assert "Nothing was booked" in client.get(f"{address}?to=2020-01-01").content.decode()


def test_another_merchants_statement_does_not_exist(t: Tenants) -> None:
    other = owner(make_tenants(totp=True))
    assert other.get(f"/balance/accounts/{encode('acc', book_of(t).pending.id)}").status_code == 404


def test_a_reseller_reads_whose_account_it_is(t: Tenants) -> None:
    client = browser_for(t, "reseller", "owner")
    assert t.merchant.name in client.get("/balance").content.decode()
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}"
    assert t.merchant.name in client.get(address).content.decode()
    stranger = browser_for(make_tenants(totp=True), "reseller", "owner")
    assert stranger.get(address).status_code == 404


def test_the_chart_counts_every_account_though_the_list_is_cut(
    t: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal, "SHOWN", 1)
    shown = owner(t).get("/balance").content.decode()
    assert shown.count("data-row") == 1
    assert "These are the first 1 accounts" in shown
    assert "with $91.80." in shown


def test_the_chart_counts_what_has_not_moved_for_long(t: Tenants, admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        change = "UPDATE ledger_account SET last_booked_at = last_booked_at + %s WHERE id = %s"
        conn.execute(change, [timedelta(days=-40), book_of(t).available.id])
        shown = owner(t).get("/balance").content.decode()
        conn.execute(change, [timedelta(days=40), book_of(t).available.id])
    assert "with $91.80." in shown


def test_the_home_page_leads_to_the_balance(t: Tenants) -> None:
    shown = owner(t).get("/").content.decode()
    assert '<a href="/balance">Available balance</a>' in shown


def book(t: Tenants, debit: AccountRef, credit: AccountRef, amount: int, code: int) -> None:
    spec = TransferSpec(id=new_id(), debit=debit, credit=credit, amount_minor=amount, code=code)
    with tenant_atomic(t.scope):
        post_or_raise([spec])


def plain(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_what_disputes_hold_is_a_figure_of_its_own() -> None:
    t = make_tenants(totp=True)
    fill(t)
    book(t, book_of(t).pending, book_of(t).disputes, 1234, TransferCode.DISPUTE_OPENED)
    shown = plain(owner(t).get("/balance"))
    for figure in ("Available $45.00", "Pending $34.46", "In reserve $5.00",
                   "Held for disputes $12.34"):  # fmt: skip
        assert figure in shown
    account = encode("acc", book_of(t).pending.id)
    assert "Statement: Pending, USD" in plain(owner(t).get(f"/balance/accounts/{account}"))


def test_the_merchants_own_currency_leads_and_the_period_is_chosen() -> None:
    t = make_tenants(totp=True)
    fill(t)
    euros = MerchantBook(t.merchant.id, t.reseller.id, "EUR", False)
    book(t, euros.provider_clearing(new_id()), euros.pending, 700, TransferCode.PAYMENT)
    client = owner(t)
    assert "$46.80" in plain(client.get("/balance"))
    assert "$46.80" in plain(browser_for(t, "reseller", "owner").get("/balance"))
    assert "€7.00" in plain(client.get("/balance?currency=EUR"))
    assert client.get("/balance?days=7").content.decode().count("</tr>") < client.get(
        "/balance?days=90"
    ).content.decode().count("</tr>")
    assert client.get("/balance?days=1000000").context["days"] == 30


def test_a_reseller_reads_its_earnings_before_its_merchants_money() -> None:
    t = make_tenants(totp=True)
    fill(t)
    own = book_of(t)
    book(t, own.platform_fee, own.reseller_residual, 111, TransferCode.RESELLER_RESIDUAL)
    shown = plain(browser_for(t, "reseller", "owner").get("/balance"))
    assert shown.index("Your earnings $1.11") < shown.index("Your merchants Available $45.00")
    assert f"Your earnings {t.merchant.name} $1.11" in html.unescape(shown)
    assert "Your earnings" not in plain(owner(t).get("/balance"))


def test_holds_are_shown_and_exported_only_when_asked_for() -> None:
    t = make_tenants(totp=True)
    fill(t)
    hold = TransferSpec(
        id=new_id(), debit=book_of(t).pending, credit=book_of(t).refunds, amount_minor=77,
        code=TransferCode.REFUND, flags=TransferFlags.PENDING,
    )  # fmt: skip
    with tenant_atomic(t.scope):
        post_or_raise([hold])
    client: Any = owner(t)
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}"

    def exported(query: str) -> str:
        parts = client.get(f"{address}/statement.csv{query}").streaming_content
        return b"".join(parts).decode()

    assert "Reserved" not in plain(client.get(address))
    assert "Reserved" in plain(client.get(f"{address}?holds=1"))
    assert ",reserved," not in exported("")
    assert ",reserved," in exported("?holds=1")
    one_kind = client.get(f"{address}?kind=platform_fee")
    assert one_kind.content.decode().count("data-row") == 1
    assert exported("?kind=platform_fee").count("\r\n") == 2
    assert "Nothing was booked" in plain(client.get(f"{address}?kind=fx_sold"))


def test_a_line_names_the_payment_or_refund_that_it_is_for() -> None:
    t = make_tenants(totp=True)
    payment = take_payment(t, reference="=A-1")["id"]
    client: Any = owner(t)
    client.post(f"/payments/{payment}/refund", {"amount": "1.00", "nonce": "n"})
    with tenant_atomic(t.scope):
        refund_id = Refund.objects.get(merchant_id=t.merchant.id).public_id
    address = f"/balance/accounts/{encode('acc', book_of(t).pending.id)}"
    shown = client.get(address).content.decode()
    for name in (payment, refund_id):
        assert re.search(rf'href="/payments/{payment}"[^>]*>{name}<', shown)
    parts = client.get(f"{address}/statement.csv").streaming_content
    rows = list(csv.DictReader(io.StringIO(b"".join(parts).decode())))
    assert {row["document"] for row in rows} == {payment, refund_id}
    assert {row["reference"] for row in rows} == {"'=A-1"}
