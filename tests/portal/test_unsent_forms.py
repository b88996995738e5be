"""A form that arrives without its session does nothing, says so, and leads back to its page."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tests.factories import make_tenants
from tests.permission_table import TABLE
from tests.portal.support import signed_in, take_payment, text_of
from tests.tenants.test_permission_table import path_of

NOTHING_DONE = "Nothing was done You were signed out before the form arrived."
DOORS = sorted(
    [path_of(route) for route, row in TABLE.items() if row.kind == "page" and "POST" in row.methods]
    + ["/admin/tenants/merchant/", "/admin/tenants/user/"]
)


def changes() -> int:
    with tenant_atomic(Scope.staff()):
        return AuditRecord.objects.count()


@pytest.mark.parametrize("path", DOORS)
def test_every_form_sent_after_the_session_says_that_nothing_was_done(path: str) -> None:
    before, client = changes(), Client()
    answer = client.post(path, {"name": "typed"}, headers={"Referer": "http://testserver/settings"})
    where = urlsplit(answer.headers["Location"])
    assert (answer.status_code, where.path) == (302, "/login")
    assert parse_qs(where.query) == {"next": ["/settings"], "unsent": ["1"]}
    assert NOTHING_DONE in text_of(client.get(answer.headers["Location"]))
    assert changes() == before


def test_a_page_that_is_only_looked_at_says_no_such_thing() -> None:
    answer = Client().get("/team?x=1")
    assert answer.headers["Location"] == "/login?next=%2Fteam%3Fx%3D1"
    assert NOTHING_DONE not in text_of(Client().get(answer.headers["Location"]))


@pytest.mark.parametrize("referer", ["", "https://evil.example/"])
def test_without_a_page_of_ours_the_form_leads_to_the_page_that_it_belongs_to(referer: str) -> None:
    tenants = make_tenants(totp=True)
    payment = take_payment(tenants, amount=4890)["id"]
    answer = Client().post(f"/payments/{payment}/refund", {}, headers={"Referer": referer})
    back = parse_qs(urlsplit(answer.headers["Location"]).query)["next"][0]
    page = signed_in(tenants).get(back, follow=True)
    assert page.request["PATH_INFO"] == f"/payments/{payment}"
    assert page.status_code == 200


def test_a_token_of_before_another_sign_in_says_so_and_leads_back() -> None:
    tenants = make_tenants(totp=True)
    client = signed_in(tenants)
    client.handler.enforce_csrf_checks = True
    drawn = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get("/team").content.decode())
    assert drawn is not None
    client.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32  # as after a sign-in in another tab
    before = changes()
    answer = client.post(
        "/team/invite",
        {"csrfmiddlewaretoken": drawn[1], "email": "x@example.test", "role": "viewer"},
        headers={"Referer": "http://testserver/team?a=b"},
    )
    assert answer.status_code == 403
    page = text_of(answer)
    assert "Nothing was done: this form is out of date" in page
    assert 'href="/team?a=b"' in answer.content.decode()
    assert changes() == before


def test_a_form_from_another_site_leads_to_no_page_of_it() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/team/invite", {}, headers={"Referer": "https://evil.example/x"})
    assert answer.status_code == 403
    assert "evil.example" not in answer.content.decode()


def test_a_code_that_comes_too_late_says_so() -> None:
    answer = Client().post("/login/verify", {"code": "123456"}, follow=True)
    assert answer.redirect_chain == [("/login?late=1", 302)]
    assert "The code came too late, so you are not signed in." in text_of(answer)
