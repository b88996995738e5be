"""The balance page and the statement in the portal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.test import Client

from core.ids import encode
from ledger import portal
from tests.factories import Tenants, make_tenants
from tests.ledger.test_faces import book_of, fill
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
    assert b"".join(client.get(f"{address}/statement.pdf").streaming_content).endswith(b"%%EOF\n")
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
