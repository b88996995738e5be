"""A shop's page, on an origin of its own, makes a token in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.browser.live import Live
from tests.factories import make_tenants
from tests.listening import listening

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

_CALL = """
async ([url, key, cvc]) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "Authorization": `Bearer ${key}`,
      "Content-Type": "application/json",
      "X-Request-Id": "shop-page-0001",
    },
    body: JSON.stringify({
      card: {number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc},
    }),
  });
  const body = await answer.json();
  return {
    status: answer.status,
    request: answer.headers.get("X-Request-Id"),
    id: body.data?.id,
    code: body.error?.code,
  };
}
"""


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of somebody else's page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Shop</title><p>Pay here</p>")

        def log_message(self, *_: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Page)) as address:
        yield f"{address}/"


def test_a_page_of_another_origin_makes_a_token(live: Live, chromium: Browser, shop: str) -> None:
    key = make_tenants(users=False).publishable_key_test
    page = chromium.new_page()
    try:
        page.goto(shop)
        made = page.evaluate(_CALL, [f"{live.url}/v1/tokens", key, "123"])
        refused = page.evaluate(_CALL, [f"{live.url}/v1/tokens", key, "1234"])
    finally:
        page.close()
    assert (made["status"], made["request"]) == (201, "shop-page-0001")
    assert made["id"].startswith("tok_")
    assert (refused["status"], refused["code"]) == (400, "invalid_cvc")
