"""A payer at the hosted page in a real Chromium: with and without the bank's check, declined."""

from __future__ import annotations

import datetime as dt
import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core import ids
from core.db import tenant_atomic
from payments.checkout.models import CheckoutSession
from tests.browser.conftest import Watch
from tests.browser.looks import assert_accessible, assert_sound, assert_sound_in_every_look
from tests.factories import Tenants, make_tenants

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NewPage = Callable[..., Page]

SUCCEEDS = "4242424242424242"
DECLINED = "4000000000000002"
WRONG_CVC = "4000000000000127"
CHALLENGED = "4000000000003220"
SETTLES_LATER = "4000000000000119"
#: Each step is looked at in both themes.
LOOKS = [(1360, "light"), (390, "dark")]


@pytest.fixture
def shop(database: str) -> Tenants:
    return make_tenants(users=False, name="Lindqvist Coffee", default_currency="EUR")


@pytest.fixture
def call(live_url: str, shop: Tenants) -> Callable[..., Any]:
    """call(path, body): the shop's server asks the API."""

    def ask(path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {**shop.headers(), "Content-Type": "application/json"}
        request = urllib.request.Request(f"{live_url}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]

    return ask


@pytest.fixture
def session(call: Callable[..., Any], live_url: str) -> dict[str, Any]:
    made: dict[str, Any] = call(
        "/v1/checkout/sessions",
        {
            "amount": 4890,
            "currency": "EUR",
            "description": "Two bags of Kiambu AA, ground for filter",
            "reference": "order-1042",
            # The shop of this test is the platform's own host: the browser may go nowhere else.
            "success_url": f"{live_url}/pay/returned?order=1042",
            "cancel_url": f"{live_url}/pay/returned",
        },
    )
    return made


def fill(page: Page, number: str = SUCCEEDS, *, expiry: str = "1234", cvc: str = "123") -> None:
    page.get_by_label("Card number").press_sequentially(number)
    page.get_by_label("Expiry date").fill("")
    page.get_by_label("Expiry date").press_sequentially(expiry)
    page.get_by_label("Security code").fill(cvc)


def pay(page: Page) -> None:
    page.get_by_role("button", name="Pay €48.90").click()


def picture(page: Page, name: str) -> None:
    """Keep a picture where somebody asked for them (SCREENSHOTS names a folder)."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def stay(page: Page) -> None:
    """Keep the paid page open, to look at it."""
    page.get_by_role("button", name="Stay on this page").click()
    expect(page.get_by_text("This page stays open.")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_payer_pays(
    new_page: NewPage,
    session: dict[str, Any],
    call: Callable[..., Any],
    width: int,
    scheme: str,
) -> None:
    page = new_page(width=width, color_scheme=scheme)
    page.goto(session["url"])
    expect(page).to_have_title("Pay Lindqvist Coffee")
    expect(page.get_by_text("Two bags of Kiambu AA")).to_be_visible()
    assert_sound(page)
    picture(page, f"form-{width}-{scheme}")

    fill(page)
    expect(page.get_by_label("Card number")).to_have_value("4242 4242 4242 4242")
    expect(page.locator("[data-brand]")).to_have_text("Visa")
    expect(page.get_by_label("Expiry date")).to_have_value("12 / 34")
    picture(page, f"filled-{width}-{scheme}")
    pay(page)
    done = page.get_by_role("heading", name="Payment complete")
    expect(done).to_be_visible()
    expect(done).to_be_focused()
    stay(page)
    expect(page.locator("[data-receipt=reference]")).to_have_text("order-1042")
    expect(page.locator("[data-receipt=card]")).to_have_text("Visa ending in 4242")
    assert_sound(page)
    picture(page, f"complete-{width}-{scheme}")
    read = call(f"/v1/checkout/sessions/{session['id']}")
    assert read["status"] == "complete"
    assert call(f"/v1/payments/{read['payment']}")["amount_captured"] == 4890

    page.reload()
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    page.get_by_role("link", name="Back to Lindqvist Coffee").click()
    page.wait_for_url("**/pay/returned?order=1042")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_payer_passes_the_banks_check(
    new_page: NewPage,
    session: dict[str, Any],
    call: Callable[..., Any],
    width: int,
    scheme: str,
) -> None:
    page = new_page(width=width, color_scheme=scheme)
    page.goto(session["url"])
    fill(page, CHALLENGED)
    pay(page)
    dialog = page.get_by_role("dialog", name="Your bank wants to know it is you")
    expect(dialog).to_be_visible()
    expect(page.locator("#challenge-title")).to_be_focused()
    frame = page.frame_locator("[data-challenge-frame]")
    expect(frame.get_by_role("heading", name="Confirm your payment")).to_be_visible()
    assert_sound(page)
    picture(page, f"challenge-{width}-{scheme}")
    frame.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    expect(dialog).to_be_hidden()
    assert call(f"/v1/checkout/sessions/{session['id']}")["status"] == "complete"


def test_a_failed_check_leaves_the_form_to_try_again(
    page: Page, session: dict[str, Any], call: Callable[..., Any]
) -> None:
    page.goto(session["url"])
    fill(page, CHALLENGED)
    pay(page)
    page.frame_locator("[data-challenge-frame]").get_by_role("button", name="Fail").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    expect(page.get_by_label("Card number")).to_have_value("4000 0000 0000 3220")
    assert call(f"/v1/checkout/sessions/{session['id']}")["status"] == "open"


def test_a_payer_closes_the_check_and_uses_another_card(
    page: Page, session: dict[str, Any], call: Callable[..., Any]
) -> None:
    page.goto(session["url"])
    fill(page, CHALLENGED)
    pay(page)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("You closed your bank's check")
    page.get_by_label("Card number").fill("")
    fill(page)
    pay(page)
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    read = call(f"/v1/checkout/sessions/{session['id']}")
    states = [call(f"/v1/payments/{payment}")["status"] for payment in read["payments"]]
    assert states == ["canceled", "completed"]


def test_a_reload_in_the_middle_of_the_check_shows_it_again(
    page: Page, session: dict[str, Any]
) -> None:
    page.goto(session["url"])
    fill(page, CHALLENGED)
    pay(page)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.frame_locator("[data-challenge-frame]").get_by_role("button", name="Complete").click()
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_declined_payer_pays_with_another_card(
    new_page: NewPage,
    session: dict[str, Any],
    call: Callable[..., Any],
    width: int,
    scheme: str,
) -> None:
    page = new_page(width=width, color_scheme=scheme)
    page.goto(session["url"])
    fill(page, DECLINED)
    pay(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Your card was declined. Nothing was charged.")
    expect(alert).to_be_focused()
    expect(page.get_by_label("Card number")).to_have_value("4000 0000 0000 0002")
    expect(page.get_by_label("Expiry date")).to_have_value("12 / 34")
    expect(page.get_by_label("Security code")).to_have_value("")
    assert_sound(page)
    picture(page, f"declined-{width}-{scheme}")
    page.get_by_label("Card number").fill("")
    fill(page)
    pay(page)
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    read = call(f"/v1/checkout/sessions/{session['id']}")
    states = [call(f"/v1/payments/{payment}")["status"] for payment in read["payments"]]
    assert states == ["failed", "completed"]


def test_a_wrong_security_code_is_said_at_its_field(page: Page, session: dict[str, Any]) -> None:
    page.goto(session["url"])
    fill(page, WRONG_CVC)
    pay(page)
    expect(page.locator("#card-cvc-error")).to_contain_text("security code is incorrect")
    expect(page.get_by_label("Security code")).to_be_focused()
    expect(page.get_by_label("Security code")).to_have_attribute("aria-invalid", "true")


def test_mistakes_are_said_before_anything_is_sent(page: Page, session: dict[str, Any]) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.goto(session["url"])
    fill(page, "4242424242424241", expiry="0120", cvc="12")
    pay(page)
    expect(page.locator("#card-number-error")).to_contain_text(
        "A digit in the card number is wrong"
    )
    expect(page.locator("#card-expiry-error")).to_contain_text("expired")
    expect(page.locator("#card-cvc-error")).to_contain_text("3 digits")
    expect(page.get_by_label("Card number")).to_be_focused()
    assert "POST" not in sent
    assert_accessible(page)
    picture(page, "mistakes-1360-light")


def test_paying_by_keyboard_alone(page: Page, session: dict[str, Any]) -> None:
    page.goto(session["url"])
    page.keyboard.press("Tab")
    expect(page.get_by_label("Card number")).to_be_focused()
    # A whole number and a whole date move on by themselves.
    page.keyboard.type("4242424242424242")
    page.keyboard.type("1234")
    page.keyboard.type("123")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()


def test_a_paid_page_goes_on_by_itself_and_a_declined_one_does_not(
    page: Page, session: dict[str, Any]
) -> None:
    page.clock.install()
    page.goto(session["url"])
    fill(page, DECLINED)
    pay(page)
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    page.clock.run_for(60_000)
    expect(page).to_have_url(session["url"])

    page.get_by_label("Card number").fill("")
    fill(page)
    pay(page)
    going = page.get_by_role("status").filter(has_text="in 5 seconds")
    expect(going).to_be_visible()
    page.clock.run_for(5_000)
    page.wait_for_url("**/pay/returned?order=1042")


def test_two_clicks_are_one_payment(
    page: Page, session: dict[str, Any], call: Callable[..., Any]
) -> None:
    page.goto(session["url"])
    fill(page)
    page.get_by_role("button", name="Pay €48.90").dblclick()
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    assert len(call(f"/v1/checkout/sessions/{session['id']}")["payments"]) == 1


def test_two_tabs_are_one_payment(
    new_page: NewPage, session: dict[str, Any], call: Callable[..., Any]
) -> None:
    first, second = new_page(), new_page(width=390)
    for tab in (first, second):
        tab.goto(session["url"])
        fill(tab)
    first.get_by_role("button", name="Pay €48.90").click(no_wait_after=True)
    second.get_by_role("button", name="Pay €48.90").click(no_wait_after=True)
    for tab in (first, second):
        expect(tab.get_by_role("heading", name="Payment complete")).to_be_visible()
    assert len(call(f"/v1/checkout/sessions/{session['id']}")["payments"]) == 1


def test_a_payment_that_settles_later_ends_by_itself(page: Page, session: dict[str, Any]) -> None:
    page.goto(session["url"])
    fill(page, SETTLES_LATER)
    pay(page)
    expect(page.get_by_role("heading", name="Your payment is on its way")).to_be_visible()
    assert_accessible(page)
    picture(page, "processing-1360-light")
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()


def test_a_broken_connection_says_so_and_the_next_try_pays_once(
    page: Page, session: dict[str, Any], call: Callable[..., Any], watch: Watch
) -> None:
    watch.allow("ERR_FAILED")
    page.goto(session["url"])
    fill(page)
    page.route("**/payment", lambda route: route.abort())
    pay(page)
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    page.unroute("**/payment")
    pay(page)
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    assert len(call(f"/v1/checkout/sessions/{session['id']}")["payments"]) == 1


def test_a_closed_session_says_so(
    page: Page, session: dict[str, Any], call: Callable[..., Any]
) -> None:
    call(f"/v1/checkout/sessions/{session['id']}/expire", {})
    page.goto(session["url"])
    expect(page.get_by_role("heading", name="This payment was canceled")).to_be_visible()
    expect(page.get_by_label("Card number")).to_have_count(0)
    assert_sound_in_every_look(page)
    picture(page, "canceled-1360-light")


@pytest.mark.parametrize(
    ("change", "heading"),
    [
        ({"expires_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "This payment page has expired"),
        ({"livemode": True}, "Card payments are not available here yet"),
    ],
)
def test_a_page_that_takes_no_card_says_why(
    new_page: NewPage,
    shop: Tenants,
    session: dict[str, Any],
    change: dict[str, Any],
    heading: str,
) -> None:
    with tenant_atomic(shop.scope):
        CheckoutSession.objects.filter(pk=ids.decode("cs", session["id"])).update(**change)
    page = new_page(width=390)
    page.goto(session["url"])
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_text("Nothing was charged").filter(visible=True)).to_have_count(1)
    expect(page.get_by_label("Card number")).to_have_count(0)
    assert_sound(page)
    picture(page, f"no-card-{next(iter(change))}-390-light")


def test_a_wrong_link_says_so(page: Page, session: dict[str, Any], watch: Watch) -> None:
    watch.allow("404")
    page.goto(f"{session['url']}x")
    expect(page.get_by_role("heading", name="This payment page does not exist")).to_be_visible()
    assert_accessible(page)
    picture(page, "missing-1360-light")


def test_without_javascript_the_page_says_what_it_needs(
    new_page: NewPage, session: dict[str, Any]
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(session["url"])
    # Chromium draws <noscript> by a setting of its own, which Playwright's switch leaves alone.
    assert "Paying needs JavaScript" in page.content()
    expect(page.get_by_role("button", name="Pay €48.90")).to_be_disabled()
