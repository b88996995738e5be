"""A page that keeps itself current, and what it says when it cannot any more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.conftest import Watch
from tests.browser.looks import assert_accessible
from tests.browser.test_portal import (
    LONGER_THAN_A_PAGE_RESTS_MS,
    enter,  # noqa: F401  # a fixture
)
from tests.factories import Tenants, make_tenants
from tests.portal.support import take_payment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SignIn = Callable[..., Page]


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(totp=True, default_currency="EUR")


def state(page: Page) -> Any:
    return page.locator("[data-live-state]")


def without_socket(page: Page) -> None:
    """The page has to ask on a timer, which `until_it_asks` lets run out."""

    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=1011)

    page.route_web_socket(re.compile("/ws/"), refuse)
    page.clock.install()


def until_it_asks(page: Page) -> None:
    page.clock.fast_forward(LONGER_THAN_A_PAGE_RESTS_MS)


def switch_mode_in_another_tab(page: Page) -> None:
    other = page.context.new_page()
    other.goto("/settings")
    other.get_by_role("switch").click()
    expect(other.get_by_text("no real money moves")).to_be_hidden()
    other.close()


def test_a_page_stands_still_when_another_tab_changed_the_mode(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
) -> None:
    take_payment(tenants, amount=4890, currency="EUR")
    page = enter(tenants)
    page.goto("/")
    expect(state(page)).to_have_text("Updating live")
    expect(page.get_by_role("link", name="€48.90")).to_be_visible()
    switch_mode_in_another_tab(page)
    take_payment(tenants, amount=1234, currency="EUR")  # makes the page ask for itself
    expect(page.get_by_text("You changed account or mode in another tab")).to_be_visible()
    expect(state(page)).to_have_text("You changed account")
    # Nothing of the other mode under the heading of this one.
    expect(page.get_by_role("link", name="€48.90")).to_be_visible()
    expect(page.get_by_text("no real money moves")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_text("No payments yet")).to_be_visible()
    expect(page.get_by_text("no real money moves")).to_be_hidden()


def test_a_form_of_the_mode_that_was_left_does_nothing(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
    watch: Watch,
) -> None:
    watch.allow("status of 40[49]")
    payment = take_payment(tenants, amount=4890, currency="EUR")["id"]
    page = enter(tenants)
    without_socket(page)
    page.goto(f"/payments/{payment}")
    page.get_by_role("button", name="Refund").click()
    switch_mode_in_another_tab(page)
    page.get_by_role("dialog").get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("in another tab")


@pytest.mark.parametrize(
    ("status", "words"), [(404, "Not available any more"), (403, "Not available any more")]
)
def test_a_page_that_is_gone_says_so(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
    watch: Watch,
    status: int,
    words: str,
) -> None:
    watch.allow(f"status of {status}")
    page = enter(tenants)
    without_socket(page)
    page.goto("/payments")
    expect(state(page)).to_have_text("Updating every few seconds")
    page.route("**/payments", lambda route: route.fulfill(status=status, body="<html></html>"))
    until_it_asks(page)
    expect(state(page)).to_have_text(words)


def test_a_lost_connection_is_told_until_it_is_back(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
    watch: Watch,
) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED|ERR_FAILED|status of 502")
    page = enter(tenants)
    without_socket(page)
    page.goto("/payments")
    expect(state(page)).to_have_text("Updating every few seconds")

    def broken(route: Route) -> None:
        route.abort("internetdisconnected")

    page.route("**/payments", broken)
    until_it_asks(page)
    expect(state(page)).to_have_text("No connection, trying again")
    page.unroute("**/payments", broken)
    until_it_asks(page)
    expect(state(page)).to_have_text("Updating every few seconds")


def test_an_ended_session_is_told(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
) -> None:
    page = enter(tenants)
    without_socket(page)
    page.goto("/payments")
    page.context.clear_cookies()
    until_it_asks(page)
    expect(state(page)).to_have_text("Signed out")


def test_a_refused_form_leaves_a_page_that_lives_on(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
    watch: Watch,
) -> None:
    watch.allow("status of 400")
    payment = take_payment(tenants, amount=4890, currency="EUR")["id"]
    page = enter(tenants)
    page.goto(f"/payments/{payment}")
    page.get_by_role("button", name="Refund").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("48,90")
    dialog.get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_text("Write it like 12.50.")).to_be_visible()
    assert page.url.endswith(f"/payments/{payment}")
    asked: list[int] = []
    page.on("response", lambda answer: asked.append(answer.status))
    page.reload()
    expect(state(page)).to_have_text("Updating live")
    page.get_by_role("button", name="Refund").click()
    dialog.get_by_label("Amount").fill("8.90")
    dialog.get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Partly refunded")
    assert 405 not in asked


def test_a_busy_shop_asks_for_its_figures_twice_a_minute_at_most(
    enter: SignIn,  # noqa: F811
    tenants: Tenants,
) -> None:
    page = enter(tenants)
    page.goto("/")
    expect(state(page)).to_have_text("Updating live")
    page.wait_for_timeout(1500)
    wanted: list[set[str]] = []

    def note(request: Any) -> None:
        parts = request.headers.get("x-live-parts")
        if parts is not None:
            wanted.append(set(parts.split()))

    page.on("request", note)
    for number in range(4):
        take_payment(tenants, amount=1000 + number, currency="EUR")
        expect(page.get_by_role("link", name=f"€10.0{number}")).to_be_visible()
    assert len(wanted) >= 3
    assert [parts for parts in wanted if "kpis" in parts] == [{"kpis", "chart", "recent"}]
    assert {"recent"} in wanted
