"""A form acts in the account and mode for which it was drawn, or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from core.db import tenant_atomic
from tenants.middleware import SESSION_STARTED, session_expired
from tenants.models import ApiKey
from tenants.portal.base import SEAT_FIELD
from tenants.seats import SESSION_LIVEMODE
from tests.factories import Tenants, make_tenants
from tests.portal.support import signed_in


def drawn_seat(client: Client, path: str = "/developers/keys") -> str:
    """What the page's own form says."""
    found = re.search(rf'name="{SEAT_FIELD}" value="([^"]+)"', client.get(path).content.decode())
    assert found is not None
    return found[1]


def keys_of(t: Tenants) -> int:
    with tenant_atomic(t.scope):
        return ApiKey.objects.count()


def switch_to_live(client: Client) -> None:
    session: Any = client.session
    session[SESSION_LIVEMODE] = True
    session.save()


def test_a_form_acts_in_the_seat_that_it_was_drawn_for() -> None:
    t = make_tenants(totp=True)
    client, before = signed_in(t), keys_of(t)
    form = {"name": "Shop", "kind": "sk", SEAT_FIELD: drawn_seat(client)}
    assert client.post("/developers/keys/create", form).status_code == 200
    assert keys_of(t) == before + 1


def test_a_form_of_test_mode_does_nothing_in_live_mode() -> None:
    t = make_tenants(totp=True)
    client, before = signed_in(t), keys_of(t)
    form = {"name": "Shop", "kind": "sk", SEAT_FIELD: drawn_seat(client)}
    switch_to_live(client)
    response = client.post("/developers/keys/create", form)
    assert response.status_code == 409
    assert b"You changed account or mode in another tab" in response.content
    assert keys_of(t) == before


@pytest.mark.parametrize("mark", ["", "nonsense"])
def test_a_form_without_a_seat_or_with_a_made_up_one_does_nothing(mark: str) -> None:
    t = make_tenants(totp=True)
    client, before = signed_in(t), keys_of(t)
    response = client.post("/developers/keys/create", {"name": "Shop", SEAT_FIELD: mark})
    assert response.status_code == 409
    assert keys_of(t) == before


def test_a_form_of_another_account_does_nothing() -> None:
    t, other = make_tenants(totp=True), make_tenants(totp=True)
    client, before = signed_in(t), keys_of(t)
    foreign = drawn_seat(signed_in(other))
    response = client.post("/developers/keys/create", {"name": "Shop", SEAT_FIELD: foreign})
    assert response.status_code == 409
    assert keys_of(t) == before


def test_public_forms_need_no_seat() -> None:
    assert SEAT_FIELD.encode() not in Client().get("/login").content
    t = make_tenants(totp=True)
    assert signed_in(t).post("/logout", {SEAT_FIELD: ""}).status_code == 302


def test_looking_whether_a_session_has_expired_changes_nothing() -> None:
    client = signed_in(make_tenants(totp=True))
    session: Any = client.session
    before = dict(session)
    assert not session_expired(session)
    assert dict(session) == before
    session[SESSION_STARTED] -= 13 * 3600
    assert session_expired(session)
    assert not session_expired(Client().session)


def test_every_form_of_our_portal_pages_says_its_seat() -> None:
    """Pages around signing in are shown before there is a seat, and say none."""
    public = re.compile(
        r'\{% extends "(base/(auth|error)|admin/\w+)\.html" %\}|^\{% load ui %\}\s+\{% if problem'
    )
    forms = 0
    templates = Path(__file__).parents[2] / "templates"
    rooms = ("tenants", "acceptance", "notifications", "ledger")
    pages = [path for room in rooms for path in sorted((templates / room).glob("*.html"))]
    pages += [templates / "portal/accounts.html"]
    pages += [templates / f"components/{part}_switch.html" for part in ("mode", "tenant")]
    for path in pages:
        text = path.read_text()
        if not public.search(text):
            forms += text.count('method="post"')
            assert text.count('method="post"') == text.count("{% csrf_token %}{% seat_field %}"), (
                path
            )
    assert forms > 20
