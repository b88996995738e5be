"""The pages for logging in, as a browser walks through them."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.conf import settings
from django.core import mail as outbox
from django.test import Client, override_settings

from core.back_address import with_next
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, OutboxEvent
from tenants import totp
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import Membership, TotpDevice, User
from tenants.services import mail, team
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.places import new_address

LIMITS = "tenants.middleware.SessionLimitsMiddleware"
MIDDLEWARE = [*settings.MIDDLEWARE, *([] if LIMITS in settings.MIDDLEWARE else [LIMITS])]


def new_browser() -> Client:
    """A browser at an address of its own."""
    return Client(REMOTE_ADDR=new_address())


def post_login(client: Client, user: User, *, password: str = PASSWORD, **data: str) -> Any:
    return client.post("/login", {"email": user.email, "password": password, **data})


def code_of(t: Tenants, user: User) -> str:
    return totp.code_at(t.totp_secrets[user.id])


def logged_in(t: Tenants, name: str = "merchant.owner") -> Client:
    """A browser that went through both steps."""
    client = new_browser()
    user = t.users[name]
    post_login(client, user)
    if user.id in t.totp_secrets:
        client.post("/login/verify", {"code": code_of(t, user)})
    assert "_auth_user_id" in client.session
    return client


def test_the_login_page_shows_a_form_and_is_not_cached() -> None:
    response = new_browser().get("/login")
    assert response.status_code == 200
    assert b'name="password"' in response.content
    assert "no-store" in response.headers["Cache-Control"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_a_password_alone_does_not_log_in_who_has_a_second_factor() -> None:
    t = make_tenants(totp=True)
    client = new_browser()
    response = post_login(client, t.users["merchant.owner"])
    assert (response.status_code, response.headers["Location"]) == (302, "/login/verify")
    assert "_auth_user_id" not in client.session
    assert client.get("/").headers["Location"].startswith("/login?")


def test_both_steps_log_in_and_lead_on() -> None:
    t = make_tenants(totp=True)
    client, user = new_browser(), t.users["merchant.owner"]
    post_login(client, user, next="/payments?status=failed")
    before = client.session.session_key
    response = client.post("/login/verify", {"code": code_of(t, user)})
    assert response.headers["Location"] == "/payments?status=failed"
    assert client.session.session_key != before
    with tenant_atomic(Scope.staff()):
        assert (
            AuditRecord.objects.filter(action="user.logged_in", target=user.public_id).count() == 1
        )


def test_a_wrong_code_leaves_the_visitor_outside() -> None:
    t = make_tenants(totp=True)
    client = new_browser()
    post_login(client, t.users["merchant.owner"])
    response = client.post("/login/verify", {"code": "000000"})
    assert response.status_code == 422
    assert b"The code is wrong" in response.content
    assert "_auth_user_id" not in client.session


def test_the_second_step_is_forgotten_after_five_minutes() -> None:
    t = make_tenants(totp=True)
    client, user = new_browser(), t.users["merchant.owner"]
    post_login(client, user)
    session = client.session
    session["login_since"] = int(time.time()) - 301
    session.save()
    response = client.post("/login/verify", {"code": code_of(t, user)})
    assert response.headers["Location"] == "/login?late=1"
    assert "_auth_user_id" not in client.session


def test_a_wrong_password_says_so_and_never_repeats_it() -> None:
    t = make_tenants()
    response = post_login(new_browser(), t.users["merchant.viewer"], password="my-typed-secret")
    assert response.status_code == 422
    assert b"is wrong" in response.content
    assert b"my-typed-secret" not in response.content


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil"]
)
def test_the_way_on_stays_on_our_host(target: str) -> None:
    t = make_tenants()
    response = post_login(new_browser(), t.users["merchant.viewer"], next=target)
    assert response.headers["Location"] == "/"


def test_an_owner_without_a_second_factor_is_sent_to_enrol() -> None:
    t = make_tenants()
    client, user = new_browser(), t.users["merchant.owner"]
    post_login(client, user)
    response = client.get("/")
    assert response.headers["Location"].startswith("/login/setup")
    page = client.get("/login/setup").content.decode()
    assert "<svg" in page
    assert "style=" not in page.split("<main", 1)[1].split("</main", 1)[0]
    found = re.search(r'class="mono">([A-Z2-7 ]+)<', page)
    assert found is not None
    import base64

    secret = base64.b32decode(found[1].replace(" ", ""))
    assert client.post("/login/setup", {"code": "000000"}).status_code == 422
    response = client.post("/login/setup", {"code": totp.code_at(secret)})
    assert response.status_code == 200
    assert len(re.findall(r"<li>[2-9a-z]{5}-[2-9a-z]{5}</li>", response.content.decode())) == 10
    with tenant_atomic(Scope.auth()):
        assert TotpDevice.objects.get(user=user).confirmed
    assert client.get("/").headers.get("Location", "") == ""


def test_a_stolen_password_cannot_replace_the_authenticator() -> None:
    t = make_tenants(totp=True)
    client, user = new_browser(), t.users["merchant.owner"]
    post_login(client, user)
    assert client.get("/login/setup").headers["Location"].startswith("/login")
    with tenant_atomic(Scope.auth()):
        sealed = TotpDevice.objects.get(user=user).secret_sealed
    assert totp.open_secret(sealed, user_id=user.id) == t.totp_secrets[user.id]


def test_logging_out_needs_a_post_and_ends_the_session() -> None:
    client = logged_in(make_tenants(totp=True))
    assert client.get("/logout").status_code == 200
    assert "_auth_user_id" in client.session
    client.post("/logout")
    assert "_auth_user_id" not in client.session


def test_the_forms_need_a_csrf_token() -> None:
    t = make_tenants()
    client = Client(enforce_csrf_checks=True)
    response = post_login(client, t.users["merchant.viewer"])
    assert response.status_code == 403
    assert "_auth_user_id" not in client.session


@override_settings(MIDDLEWARE=MIDDLEWARE)
@pytest.mark.parametrize(
    ("key", "age_s"),
    [(SESSION_SEEN, settings.SESSION_IDLE_TIMEOUT_S + 1), (SESSION_STARTED, 12 * 3600 + 1)],
)
def test_a_session_ends_after_its_idle_and_its_absolute_time(key: str, age_s: int) -> None:
    client = logged_in(make_tenants(totp=True))
    assert client.get("/logout").status_code == 200
    session = client.session
    session[key] = int(time.time()) - age_s
    session.save()
    client.get("/logout")
    assert "_auth_user_id" not in client.session


@override_settings(MIDDLEWARE=MIDDLEWARE)
def test_using_the_session_keeps_it() -> None:
    client = logged_in(make_tenants(totp=True))
    session = client.session
    session[SESSION_SEEN] = int(time.time()) - settings.SESSION_IDLE_TIMEOUT_S + 30
    session.save()
    client.get("/logout")
    assert time.time() - client.session[SESSION_SEEN] < 60


def test_a_person_without_a_seat_is_told_so() -> None:
    t = make_tenants()
    client = logged_in(t, "merchant.viewer")
    with tenant_atomic(t.scope):
        Membership.objects.filter(id=t.memberships["merchant.viewer"].id).delete()
    response = client.get("/")
    assert response.status_code == 403
    assert b"belong to no account" in response.content


def test_resetting_a_password_by_mail() -> None:
    t = make_tenants()
    user = t.users["merchant.viewer"]
    client = new_browser()
    nobody = f"nobody.{t.merchant.id.hex}@example.test"
    known = client.post("/password/reset", {"email": user.email})
    unknown = client.post("/password/reset", {"email": nobody})
    assert known.status_code == unknown.status_code == 200
    assert known.content.replace(user.email.encode(), b"") == unknown.content.replace(
        nobody.encode(), b""
    )
    mail.password_reset_mail(user_id=user.id)
    link = re.search(r"/password/reset/\S+", str(outbox.outbox[-1].body))
    assert link is not None
    assert client.post(link[0], {"password": "short"}).status_code == 422
    assert client.post(link[0], {"password": "quite another sentence"}).status_code == 200
    assert client.get(link[0]).status_code == 404  # good for one use
    response = post_login(new_browser(), user, password="quite another sentence")
    assert response.status_code == 302
    assert post_login(new_browser(), user).status_code == 422


def reset_mails(user: User) -> int:
    with tenant_atomic(Scope.staff()):
        return OutboxEvent.objects.filter(
            type="user.password_reset_requested", aggregate=user.public_id
        ).count()


def test_strangers_send_one_reset_mail_per_address_and_day() -> None:
    t = make_tenants()
    user, nobody = t.users["merchant.viewer"], f"nobody.{t.merchant.id.hex}@example.test"
    answers = []
    for email in (user.email, nobody):
        pages = [new_browser().post("/password/reset", {"email": email}) for _ in range(4)]
        assert [page.status_code for page in pages] == [200, 429, 429, 429]
        assert 23 * 3600 < int(pages[1].headers["Retry-After"]) <= 24 * 3600
        shown = re.sub(r'value="[^"]{64}"', "", pages[1].content.decode())
        assert "A mail was asked for already" in shown
        answers.append(shown.replace(email, ""))
    assert answers[0] == answers[1]
    assert reset_mails(user) == 1


def test_strangers_do_not_keep_reset_mails_from_the_owner() -> None:
    t = make_tenants()
    user, browser = t.users["merchant.viewer"], new_browser()
    post_login(browser, user)
    for _ in range(2):
        new_browser().post("/password/reset", {"email": user.email})
    browser.post("/logout")
    assert browser.post("/password/reset", {"email": user.email}).status_code == 200
    assert reset_mails(user) == 2


def test_one_network_asks_for_few_mails_whatever_the_addresses() -> None:
    client = new_browser()
    statuses = [
        client.post(
            "/password/reset", {"email": f"n{number}.{id(client)}@example.test"}
        ).status_code
        for number in range(21)
    ]
    assert statuses == [200] * 20 + [429]


def test_accepting_an_invitation_as_a_new_person() -> None:
    t = make_tenants()
    row = team.invitation_create(
        actor=t.actor("owner"), email=f"n.{t.merchant.id.hex}@example.test", role="viewer"
    )
    client = new_browser()
    address = f"/invitations/{team.invitation_token(row.id)}"
    page = client.get(address)
    assert t.merchant.name.encode() in page.content
    assert client.post(address, {"name": "N", "password": "short"}).status_code == 422
    response = client.post(address, {"name": "N", "password": "a long enough sentence"})
    assert response.status_code == 302
    assert "_auth_user_id" in client.session
    assert client.get(address).status_code == 404


def test_an_invitation_for_somebody_with_an_account_asks_to_log_in() -> None:
    t, other = make_tenants(), make_tenants()
    person = other.users["merchant.viewer"]
    row = team.invitation_create(actor=t.actor("owner"), email=person.email, role="viewer")
    address = f"/invitations/{team.invitation_token(row.id)}"
    assert with_next("/login", address).encode() in new_browser().get(address).content
    client = logged_in(other, "merchant.viewer")
    assert client.post(address).status_code == 302
    with tenant_atomic(t.scope):
        assert Membership.objects.filter(user_id=person.id).count() == 1


@pytest.mark.parametrize("address", ["/invitations/nonsense", "/password/reset/usr_x/y"])
def test_a_broken_link_is_404_with_a_way_on(address: str) -> None:
    response = new_browser().get(address)
    assert response.status_code == 404
    assert b"does not work any more" in response.content
