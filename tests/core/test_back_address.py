"""Where a page sends back to: an address of this installation, whatever the visitor brought."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from core.back_address import (
    MAX_CHARS,
    asked_address,
    back_address,
    referring_address,
    with_next,
)


def judged(given: str | None, *, host: str = "pay.example") -> str:
    return back_address(RequestFactory().get("/login", headers={"Host": host}), given, "/fallback")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("/payments", "/payments"),
        ("/payments?status=failed&q=%C3%BC", "/payments?status=failed&q=%C3%BC"),
        ("/payments#latest", "/payments"),
        ("/password/reset/usr_1/a%20b", "/password/reset/usr_1/a%20b"),
        ("http://pay.example/payments?q=1", "/payments?q=1"),
        ("//pay.example/payments", "/payments"),
    ],
)
def test_an_address_of_ours_is_kept_as_path_and_query(given: str, found: str) -> None:
    assert judged(given) == found


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "abc",
        "payments",
        "../payments",
        "?next=/payments",
        "/there/is/no/such/page",
        "//evil.example",
        "//evil.example/payments",
        "///evil.example/payments",
        "/\\evil.example/payments",
        "\\\\evil.example",
        "/payments\\..\\..\\evil",
        "http:///evil.example/payments",
        "http://evil.example/payments",
        "https://pay.example@evil.example/payments",
        "http://pay.example:8000/payments",
        "javascript:alert(1)",
        "data:text/html,hello",
        "http://[::1",
        "/payments\x00",
        "/payments\r\nSet-Cookie: a=b",
        "\u202e/payments",
        "/payments?" + "q" * MAX_CHARS,
    ],
)
def test_every_other_address_is_the_fallback(given: str | None) -> None:
    assert judged(given) == "/fallback"


def test_a_form_comes_before_the_query() -> None:
    request = RequestFactory().post("/login?next=/ledger", {"next": "/payments"})
    assert asked_address(request) == "/payments"
    assert asked_address(RequestFactory().get("/login?next=/team")) == "/team"
    assert asked_address(RequestFactory().get("/login?next=abc")) == ""


def test_the_page_that_the_browser_came_from_is_judged_too() -> None:
    def came_from(address: str) -> str:
        request = RequestFactory().post("/", headers={"Referer": address})
        return referring_address(request, "/admin/")

    assert came_from("http://testserver/admin/tenants/user/?q=a") == "/admin/tenants/user/?q=a"
    assert came_from("https://evil.example/admin/") == "/admin/"
    assert came_from("abc") == "/admin/"


def test_an_address_is_handed_on_unless_it_is_too_long_to_come_back() -> None:
    assert with_next("/login", "/payments?q=a b") == "/login?next=%2Fpayments%3Fq%3Da+b"
    assert with_next("/login", "") == "/login"
    assert with_next("/login", "/" + "q" * MAX_CHARS) == "/login"
