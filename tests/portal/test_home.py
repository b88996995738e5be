"""The figures on the home page: what they count, and what they cost."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import Any

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import ids
from tests.factories import Tenants, make_merchant, make_tenants
from tests.portal.support import signed_in, take_payment, text_of

#: Longer than any test here takes.
_TEST_S = 120


@pytest.fixture(autouse=True)
def today() -> dt.date:
    """The day of payments and pages alike; a test that would run over midnight begins after it."""
    now = dt.datetime.now(dt.UTC)
    midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    left_s = (midnight - now).total_seconds()
    if left_s < _TEST_S:
        time.sleep(left_s)
    return dt.datetime.now(dt.UTC).date()


def moved(admin_dsn: str, payment: str, **days: int) -> None:
    """Set times of a payment that many days back: created=3, completed=1."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        for column, back in days.items():
            admin.execute(
                f"update acceptance_payment set {column}_at = {column}_at - %s where id = %s",
                [dt.timedelta(days=back), ids.decode("pay", payment)],
            )


def get(client: Client, path: str = "/", parts: str | None = None) -> tuple[str, list[str]]:
    """The page, and the statements on payments that it took."""
    headers = {} if parts is None else {"X-Live-Parts": parts}
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path, headers=headers)
    assert response.status_code == 200
    asked = [row["sql"] for row in captured.captured_queries]
    return response.content.decode(), [text for text in asked if '"acceptance_payment"' in text]


def figures(statements: list[str]) -> list[str]:
    """Of the statements, those that count or add up."""
    return [text for text in statements if re.search(r"\b(SUM|COUNT)\(", text)]


def test_the_volume_of_a_day_is_what_was_captured_on_it(admin_dsn: str, today: dt.date) -> None:
    tenants = make_tenants(totp=True)
    late = take_payment(tenants, amount=1000)["id"]  # authorised before, captured today
    moved(admin_dsn, late, created=3)
    yesterday = take_payment(tenants, amount=2000)["id"]
    moved(admin_dsn, yesterday, created=1, completed=1)
    before = take_payment(tenants, amount=4000)["id"]
    moved(admin_dsn, before, created=1, completed=2)
    page = text_of(signed_in(tenants).get("/"))
    assert "Volume today $10.00 USD" in page
    assert "Payments today 1" in page
    for days_back, amount in ((0, "$10.00"), (1, "$20.00"), (2, "$40.00")):
        day = today - dt.timedelta(days=days_back)
        assert f"{day.day} {day:%b} {amount}" in page


def test_each_tile_counts_the_currency_that_it_names() -> None:
    tenants = make_tenants(totp=True, default_currency="USD")
    take_payment(tenants, amount=1000)
    take_payment(tenants, amount=2000, number="4000000000000002")
    for _ in range(2):
        take_payment(tenants, amount=500, currency="EUR")
    client = signed_in(tenants)
    dollars = text_of(client.get("/"))
    for tile in (
        "Volume today $10.00 USD",
        "Payments today in USD 1",
        "Success rate today in USD 50.0 %",
    ):
        assert tile in dollars
    euros = text_of(client.get("/?currency=EUR"))
    for tile in (
        "Volume today €10.00 EUR",
        "Payments today in EUR 2",
        "Success rate today in EUR 100.0 %",
    ):
        assert tile in euros


def test_the_days_before_are_computed_once_and_today_each_time(today: dt.date) -> None:
    tenants = make_tenants(totp=True)
    take_payment(tenants, amount=1000)
    client = signed_in(tenants)
    _, cold = get(client)
    take_payment(tenants, amount=2000)
    page, warm = get(client)
    assert "$30.00" in page
    midnight = f"{today:%Y-%m-%d} 00:00:00"
    assert len(figures(cold)) == 4  # volume and outcomes: today's and those of before
    assert len(figures(warm)) == 2
    assert all(midnight in text for text in figures(warm))


def test_a_flushed_cache_costs_time_and_changes_nothing() -> None:
    tenants = make_tenants(totp=True)
    take_payment(tenants, amount=1000)
    client = signed_in(tenants)
    before, _ = get(client)
    cache.clear()
    again = signed_in(tenants)
    after, statements = get(again)
    assert len(figures(statements)) == 4
    assert text_of_main(after) == text_of_main(before)


def text_of_main(html: str) -> str:
    found = re.search(r"<main.*?</main>", html, flags=re.S)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


@pytest.mark.parametrize("person", ["merchant.owner", "reseller.owner"])
def test_a_new_payment_costs_an_open_page_the_newest_ones_alone(person: str) -> None:
    tenants = make_tenants(totp=True)
    take_payment(tenants, amount=1000)
    client = signed_in(tenants, person)
    html, statements = get(client, parts="recent")
    assert figures(statements) == []
    assert len(statements) == 1
    assert re.findall(r'data-part="(\w+)"', html) == ["recent"]
    assert "$10.00" in html
    assert 'id="sidebar"' not in html
    assert re.search(r"<html[^>]* data-seat=", html)


def test_the_parts_that_are_dear_say_how_often_they_may_be_asked_for() -> None:
    html, _ = get(signed_in(make_tenants(totp=True), "reseller.owner"))
    every = dict(re.findall(r'data-part="(\w+)"(?: data-every="(\d+)")?', html))
    assert every == {"kpis": "30", "chart": "30", "recent": "", "busiest": "30"}


def test_no_tenant_meets_the_figures_of_another() -> None:
    tenants = make_tenants(totp=True)
    second = make_merchant(tenants)
    take_payment(tenants, amount=1000)
    owner, reseller = signed_in(tenants), signed_in(tenants, "reseller.owner")
    assert "$10.00" in get(owner)[0]
    take_payment(second, amount=2500)
    assert "Volume today $35.00 USD" in text_of(reseller.get("/"))
    assert "Volume today $10.00 USD" in text_of(owner.get("/"))
    stranger = signed_in(make_tenants(totp=True))
    assert "Volume today $0.00 USD" in text_of(stranger.get("/"))


def test_a_resellers_busiest_merchants_are_ranked_by_what_they_captured() -> None:
    tenants: Tenants = make_tenants(totp=True, name="Kaffee Eins")
    second = make_merchant(tenants, name="Kaffee Zwei")
    take_payment(tenants, amount=1000)
    take_payment(second, amount=2500)
    take_payment(second, amount=9900, number="4000000000000002")
    page: Any = text_of(signed_in(tenants, "reseller.owner").get("/"))
    ranking = page[page.index("Busiest merchants") :]
    assert ranking.index("Kaffee Zwei") < ranking.index("Kaffee Eins")
    assert "$25.00" in ranking
