"""Merchants and resellers at work in a real Chromium: every page, both themes, three widths."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from playwright.sync_api import Page, WebSocketRoute, expect

from tenants import totp
from tests.browser.conftest import Watch
from tests.browser.looks import assert_accessible, assert_sound_in_every_look
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.notifications.receiver import running_receiver
from tests.portal.support import signed_in, take_payment

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NewPage = Callable[..., Page]
SignIn = Callable[..., Page]

MERCHANT_PAGES = (
    "/", "/payments", "/balance", "/developers/keys", "/developers/webhooks", "/developers/events",
    "/developers/requests", "/team", "/settings",
)  # fmt: skip
RESELLER_PAGES = ("/", "/payments", "/balance", "/merchants", "/team", "/settings")
SETTLES_LATER = "4000000000000119"
#: Than between two questions of a page without a socket.
LONGER_THAN_A_PAGE_RESTS_MS = 31_000


@pytest.fixture
def enter(new_page: NewPage, live_url: str) -> SignIn:
    """enter(tenants, "merchant.viewer", width=390): a page with a session of that person."""

    def make(tenants: Tenants, name: str = "merchant.owner", **options: Any) -> Page:
        page = new_page(**options)
        session = signed_in(tenants, name).cookies[settings.SESSION_COOKIE_NAME].value
        cookie = f"session_{urlsplit(live_url).port}"
        page.context.add_cookies([{"name": cookie, "value": session, "url": live_url}])
        return page

    return make


@pytest.fixture(scope="module")
def shop(database: str) -> Tenants:
    """A merchant with payments of every kind; tests only look at it."""
    tenants = make_tenants(totp=True, name="Lindqvist Coffee", default_currency="EUR")
    for index, number in enumerate(
        ("4242424242424242", "4000000000000002", "4000000000003220", "5555555555554444")
    ):
        take_payment(
            tenants,
            amount=4890 + index,
            currency="EUR",
            number=number,
            reference=f"order-{index}",
            description="Two bags of Kiambu AA",
            metadata={"basket": "a-rather-long-value-that-must-not-widen-the-page-at-all"},
        )
    return tenants


# ---- every page, every look ------------------------------------------------------------------


def test_a_merchants_pages_are_sound(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop)
    for path in MERCHANT_PAGES:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert_sound_in_every_look(page)
    for index in range(3):
        page.goto("/payments")
        page.locator(".row-link").nth(index).click()
        expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        assert_sound_in_every_look(page)
    page.goto("/balance")
    page.get_by_role("link", name="Pending", exact=True).click()
    expect(page.get_by_role("link", name="Export CSV")).to_be_visible()
    assert_sound_in_every_look(page)


def test_a_resellers_pages_are_sound(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop, "reseller.owner")
    for path in (*RESELLER_PAGES, f"/merchants/{shop.merchant.public_id}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert_sound_in_every_look(page)


def test_dialogs_menus_and_refusals_are_sound(enter: SignIn, shop: Tenants, watch: Watch) -> None:
    watch.allow("status of 40[034]")
    page = enter(shop, width=390, color_scheme="dark")
    page.goto("/developers/keys")
    page.get_by_role("button", name="Create key").click()
    page.get_by_label("Restricted key").check()
    expect(page.get_by_role("dialog").get_by_label("payments.read")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("dialog").get_by_label("Name").fill("Nothing")
    page.get_by_role("dialog").get_by_role("button", name="Create key").click()
    expect(page.get_by_text("needs at least one scope")).to_be_visible()
    assert_accessible(page)
    page.goto("/payments?from=tomorrow")
    expect(page.get_by_role("heading", name="The filter could not be read")).to_be_visible()
    assert_accessible(page)
    page.goto("/payments/pay_nothing")
    assert_accessible(page)
    viewer = enter(shop, "merchant.viewer")
    viewer.goto("/developers/keys")
    expect(viewer.get_by_role("heading", level=1)).to_contain_text("may not")
    assert_accessible(viewer)


# ---- journeys --------------------------------------------------------------------------------


def test_an_owner_signs_in_with_both_steps(new_page: NewPage) -> None:
    tenants = make_tenants(totp=True)
    user = tenants.users["merchant.owner"]
    page = new_page()
    page.goto("/payments")
    assert_accessible(page)
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/verify*")
    assert_accessible(page)
    page.locator("input[name=code]").fill(totp.code_at(tenants.totp_secrets[user.id]))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Payments", exact=True)).to_be_visible()
    page.get_by_label("Your account").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/payments")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_merchant_watches_a_payment_arrive_refunds_it_and_finds_the_delivery(
    enter: SignIn,
) -> None:
    tenants = make_tenants(totp=True, default_currency="EUR")
    page = enter(tenants)
    with running_receiver() as receiver:
        page.goto("/developers/webhooks")
        page.get_by_role("button", name="Add endpoint").first.click()
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("dialog").get_by_role("button", name="Add endpoint").click()
        secret = page.locator("[data-secret] code").text_content() or ""
        assert secret.startswith("whsec_")

        page.goto("/")
        expect(page.get_by_text("Updating live", exact=True)).to_be_visible()
        expect(page.get_by_text("No payments yet")).to_be_visible()
        take_payment(tenants, amount=4890, currency="EUR", description="Two bags of Kiambu AA")
        row = page.get_by_role("link", name="€48.90")
        expect(row).to_be_visible()  # nobody reloaded
        expect(page.locator(".kpi").first).to_contain_text("€48.90")

        row.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
        page.get_by_role("button", name="Refund").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Amount").fill("8.90")
        dialog.get_by_role("button", name="Refund", exact=True).click()
        expect(page.get_by_text("on its way to the customer")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Partly refunded")
        expect(page.locator("[data-part=timeline]")).to_contain_text("Refund completed")

        page.goto("/developers/webhooks")
        page.locator(".row-link").click()
        delivered = page.get_by_role("row").filter(has_text="payment.completed")
        expect(delivered).to_contain_text("Delivered")
        delivered.get_by_role("link").click()
        expect(page.get_by_text("Attempt 1")).to_be_visible()
        before = len(receiver.requests)
        page.get_by_role("button", name="Resend").click()
        expect(page.get_by_text("on its way again")).to_be_visible()
        page.wait_for_timeout(1500)
        assert len(receiver.requests) > before
        receiver.verified(secret)


def test_a_payments_page_changes_by_itself_when_it_settles(enter: SignIn) -> None:
    tenants = make_tenants(totp=True, default_currency="EUR")
    payment = take_payment(tenants, amount=4890, currency="EUR", number=SETTLES_LATER)
    page = enter(tenants, color_scheme="dark")
    page.goto(f"/payments/{payment['id']}")
    expect(page.get_by_text("Updating live", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
    expect(page.locator("[data-part=timeline]")).to_contain_text("Payment completed")
    expect(page.get_by_role("button", name="Refund")).to_be_visible()


def test_without_a_websocket_the_page_asks_again(enter: SignIn) -> None:
    tenants = make_tenants(totp=True, default_currency="EUR")
    page = enter(tenants)

    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=1011)

    page.route_web_socket(re.compile("/ws/"), refuse)
    page.clock.install()
    page.goto("/payments")
    expect(page.get_by_text("No payments yet")).to_be_visible()
    take_payment(tenants, amount=1234, currency="EUR")
    page.clock.fast_forward(LONGER_THAN_A_PAGE_RESTS_MS)
    expect(page.get_by_role("link", name="€12.34")).to_be_visible()


def test_a_page_that_nobody_looks_at_rests_so_that_its_session_can_end(enter: SignIn) -> None:
    tenants = make_tenants(totp=True, default_currency="EUR")
    page = enter(tenants)
    page.route_web_socket(re.compile("/ws/"), lambda socket: socket.close(code=1011))
    page.clock.install()
    page.goto("/")
    expect(page.get_by_text("No payments yet")).to_be_visible()
    asked: list[str] = []
    for _ in range(4):
        page.clock.fast_forward(3 * 60 * 1000)
        page.wait_for_timeout(400)
    expect(page.get_by_text("Paused while you are away")).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(5 * 60 * 1000)
    page.wait_for_timeout(400)
    assert asked == []
    take_payment(tenants, amount=1234, currency="EUR")
    page.mouse.move(300, 300)
    expect(page.get_by_role("link", name="€12.34")).to_be_visible()


def test_filters_search_pages_and_export(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop)
    page.goto("/payments")
    page.keyboard.press("/")
    expect(page.get_by_label("Search payments")).to_be_focused()
    page.keyboard.type("order-1")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Clear all").click()
    page.get_by_text("Amount", exact=True).first.click()
    page.get_by_label("At least").fill("48.92")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Amount: at least €48.92")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert "status=" not in page.url
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 3


def test_the_keyboard_is_enough(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop)
    page.goto("/payments")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(".row-link").nth(3).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Refund").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Refund")).to_be_focused()
    page.get_by_label("Your account").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_the_theme_stays_after_a_reload(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop)
    page.goto("/settings")
    with page.expect_response("**/settings/theme"):
        page.locator("main").get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    page.goto("/payments")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_on_a_phone_the_sidebar_opens_and_leads(enter: SignIn, shop: Tenants) -> None:
    page = enter(shop, width=390)
    page.goto("/")
    expect(page.get_by_role("link", name="Team")).to_be_hidden()
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("link", name="Team").click()
    expect(page.get_by_role("heading", name="Team")).to_be_visible()


def test_a_secret_is_blurred_until_it_is_revealed_and_gone_after_a_reload(enter: SignIn) -> None:
    tenants = make_tenants(totp=True)
    page = enter(tenants)
    page.goto("/developers/keys")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Till")
    page.get_by_role("dialog").get_by_role("button", name="Create key").click()
    box = page.locator("[data-secret]")
    expect(box).to_have_attribute("data-hidden", "")
    page.get_by_role("button", name="Reveal API key").click()
    expect(box).not_to_have_attribute("data-hidden", "")
    assert page.url.endswith("/developers/keys")
    page.reload()
    expect(page.locator("[data-secret]")).to_have_count(0)
    expect(page.get_by_text("Till")).to_have_count(3)  # the row and its two dialogs


@pytest.mark.parametrize("width", [1360, 1024, 768])
def test_no_panel_of_a_filter_is_cut_off(enter: SignIn, shop: Tenants, width: int) -> None:
    page = enter(shop, name="reseller.owner", width=width)
    page.goto("/payments")
    for summary in page.locator(".chip-filter > summary").all():
        summary.click()
        expect(page.locator(".chip-filter[open] .chip-panel input").first).to_be_focused()
        box = page.locator(".chip-filter[open] > .chip-panel").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
