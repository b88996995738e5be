"""The public documentation in a real Chromium: both themes, three widths, by its links."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looks import (
    NARROW,
    assert_no_horizontal_scroll,
    assert_sound_in_every_look,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NewPage = Callable[..., Page]


@pytest.mark.parametrize("path", ["/docs", "/docs/api", "/docs/events"])
def test_a_page_is_sound_in_every_look(page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator("h1")).to_be_visible()
    assert_sound_in_every_look(page, alike=(".field-row", "article.op"))


def test_a_phone_begins_with_the_list_folded(new_page: NewPage) -> None:
    page = new_page(width=NARROW)
    page.goto("/docs/api")
    expect(page.get_by_role("navigation", name="On this page").get_by_role("link")).to_have_count(0)
    assert_no_horizontal_scroll(page)


def test_doc_url_lands_on_the_line_of_its_error(page: Page) -> None:
    page.goto("/docs/api#error-idempotency_key_reused")
    expect(page.locator("#error-idempotency_key_reused")).to_be_in_viewport()


def test_the_list_on_the_left_marks_what_is_read(page: Page) -> None:
    page.goto("/docs/api")
    nav = page.get_by_role("navigation", name="On this page")
    nav.locator('a[href="#refunds_create"]').click()
    expect(page.locator("#refunds_create")).to_be_in_viewport()
    expect(nav.locator('a[aria-current="true"]')).to_have_attribute("href", "#refunds_create")


def test_an_example_can_be_copied(new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/docs/api#payments_create")
    page.locator("#payments_create").get_by_role("button", name="Copy Request").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl $BASE/v1/payments")
    assert "Idempotency-Key" in copied
