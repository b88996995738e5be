"""The public documentation in a real Chromium: both themes, three widths, by its links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import assert_no_horizontal_scroll

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NewPage = Callable[..., Page]
Axe = Callable[[Page], None]

LOOKS: list[tuple[int, Any]] = [(1360, "light"), (1360, "dark"), (768, "light"), (390, "dark")]


@pytest.mark.parametrize(("width", "theme"), LOOKS)
@pytest.mark.parametrize("path", ["/docs", "/docs/api", "/docs/events"])
def test_a_page_is_whole_in_every_look(
    new_page: NewPage, axe: Axe, path: str, width: int, theme: str
) -> None:
    page = new_page(width=width, color_scheme=theme)
    page.goto(path)
    expect(page.locator("h1")).to_be_visible()
    assert_no_horizontal_scroll(page)
    axe(page)


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
