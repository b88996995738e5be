"""No cache keeps what depends on who asks: every address × every kind of visitor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.test import Client

from core.caching import IN_THE_BROWSER, PRIVATE
from tests.factories import Tenants, make_tenants
from tests.portal.every_address import addresses
from tests.portal.support import signed_in

#: What may be kept, and how; every other address is private.
OPEN: Final = {
    "v1/openapi.json": "public, max-age=300",
    "docs": IN_THE_BROWSER,
    "docs/api": IN_THE_BROWSER,
    "docs/events": IN_THE_BROWSER,
}

Visit = Callable[[str, str], Any]


def _browser(name: str) -> Callable[[Tenants], Visit]:
    def made(t: Tenants) -> Visit:
        client = Client(raise_request_exception=False)
        client.cookies = signed_in(t, name).cookies
        return lambda method, path: client.generic(method, path)

    return made


def _headed(header: Callable[[Tenants], str]) -> Callable[[Tenants], Visit]:
    def made(t: Tenants) -> Visit:
        client = Client(raise_request_exception=False)
        sent = {"Authorization": f"Bearer {header(t)}"}
        return lambda method, path: client.generic(method, path, headers=sent)

    return made


def _stranger(t: Tenants) -> Visit:
    client = Client(raise_request_exception=False)
    return lambda method, path: client.generic(method, path)


VISITORS: Final = {
    "stranger": _stranger,
    "merchant": _browser("merchant.owner"),
    "reseller": _browser("reseller.admin"),
    "staff": _browser("platform.finance"),
    "key": _headed(lambda t: t.secret_key_test),
    "token": _headed(lambda t: t.access_token("merchant.viewer")),
}


@pytest.fixture(scope="module")
def visits(database: str) -> dict[str, Visit]:
    t = make_tenants(totp=True)
    return {name: make(t) for name, make in VISITORS.items()}


@pytest.mark.parametrize("visitor", sorted(VISITORS))
def test_every_answer_is_private_but_for_those_that_are_the_same_for_all(
    visitor: str, visits: dict[str, Visit]
) -> None:
    wrong = {}
    for route, path in addresses().items():
        ends_the_visit = path in ("/logout", "/admin/logout/")  # looked at below
        writes = visitor in ("stranger", "key") and not ends_the_visit
        for method in ("GET", "POST") if writes else ("GET",):
            answer = visits[visitor](method, path)
            answer.close()  # a download that is not read ends here
            wanted = OPEN.get(route, PRIVATE)
            if answer.headers.get("Cache-Control") != wanted:
                wrong[method, route] = (answer.status_code, answer.headers.get("Cache-Control"))
    assert wrong == {}


def test_a_visit_that_ends_is_private_too(visits: dict[str, Visit]) -> None:
    t = make_tenants(totp=True)
    for path in ("/logout", "/admin/logout/"):
        answer = _browser("platform.finance")(t)("POST", path)
        assert answer.headers["Cache-Control"] == PRIVATE


@pytest.mark.parametrize("route", sorted(OPEN))
def test_what_may_be_kept_knows_nobody(route: str, visits: dict[str, Visit]) -> None:
    token = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')
    shown = {token.sub(b"", visit("GET", "/" + route).content) for visit in visits.values()}
    assert len(shown) == 1
    assert len(shown.pop()) > 1_000
