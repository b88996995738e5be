"""Guessers are slowed, owners are not: pairs, addresses, accounts, known places, sign-in links."""

from __future__ import annotations

import re
import secrets
import time
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from django.conf import settings
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core import errors
from core.attempts import Counter
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from tenants import totp
from tenants.models import KnownPlace, SignInLink, User
from tenants.places import Place
from tenants.services import login_guard, mail, mail_limits, passwords, sessions, sign_in_links
from tenants.services.login_guard import THROTTLES
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.places import make_place, new_address, shift_throttle, throttle_level

LOGIN: Final = THROTTLES["login"]
OTP: Final = THROTTLES["otp"]
HOUR_S: Final = 3600


@pytest.fixture
def t() -> Tenants:
    return make_tenants()


def viewer(t: Tenants) -> User:
    return t.users["merchant.viewer"]


def log_in(user: User, place: Place, *, password: str = PASSWORD) -> str:
    """What a login over the API answers: a token, or the code of the refusal."""
    try:
        sessions.jwt_login(
            email=user.email, password=password, otp="", tenant="", livemode=False, place=place
        )
    except errors.AppError as error:
        return error.code
    return "token"


def guess(user: User, place: Place, *, times: int = 1) -> list[str]:
    return [log_in(user, place, password="wrong") for _ in range(times)]


def pair_of(user: User, place: Place) -> Counter:
    return LOGIN["pair"], f"{user.email} {place.network}"


def account_of(user: User) -> Counter:
    return LOGIN["account"], user.email


def hold(counter: Counter) -> None:
    """Keep a closed counter closed for the rest of a test, however slow the machine is."""
    shift_throttle(counter, by_s=HOUR_S)


def test_what_the_waits_are() -> None:
    pair = LOGIN["pair"]
    waits = [
        min(pair.max_delay_s, pair.first_delay_s << (level - pair.free))
        for level in range(pair.free, pair.cap + 1)
    ]
    assert (pair.free, waits) == (5, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300])
    assert (LOGIN["account"].free, LOGIN["address"].free) == (20, 100)
    assert OTP["pair"].max_delay_s == 900


def test_an_attackers_pair_is_slowed_even_with_the_right_password(t: Tenants) -> None:
    place = make_place()
    assert guess(viewer(t), place, times=5) == ["credentials_invalid"] * 5
    hold(pair_of(viewer(t), place))
    with pytest.raises(errors.RateLimited) as refused:
        sessions.password_check(email=viewer(t).email, password=PASSWORD, place=place)
    assert refused.value.retry_after_s > HOUR_S - 60
    assert log_in(t.users["merchant.developer"], place) == "token"


def test_guesses_of_one_pair_are_looked_at_ever_more_seldom(t: Tenants) -> None:
    place, started = make_place(), time.monotonic()
    looked_at = guess(viewer(t), place, times=40).count("credentials_invalid")
    # Six guesses take a second, seven three, eight seven: a slow machine allows more of them.
    assert 2 ** (looked_at - 5) - 1 <= time.monotonic() - started


def test_a_hundred_wrong_passwords_from_elsewhere_do_not_stop_the_owner(t: Tenants) -> None:
    user, home = viewer(t), make_place()
    assert log_in(user, home) == "token"
    outcomes = [guess(user, make_place())[0] for _ in range(100)]
    assert outcomes.count("credentials_invalid") < 40
    hold(account_of(user))
    assert guess(user, make_place()) == ["rate_limited"]
    assert log_in(user, home) == "token"


def test_a_known_browser_is_let_in_from_a_network_that_is_slowed(t: Tenants) -> None:
    user, device = viewer(t), secrets.token_urlsafe(32)
    log_in(user, make_place(device=device))
    there = make_place()
    guess(user, there, times=5)
    hold(pair_of(user, there))
    away = Place(ip=there.ip, network=there.network, device=device)
    assert log_in(user, away) == "token"


def test_a_known_browser_has_a_counter_of_its_own(t: Tenants) -> None:
    user, device = viewer(t), secrets.token_urlsafe(32)
    log_in(user, make_place(device=device))
    assert guess(user, make_place(device=device), times=5) == ["credentials_invalid"] * 5
    hold((LOGIN["device"], f"{user.email} {device}"))
    assert guess(user, make_place(device=device)) == ["rate_limited"]


def test_another_accounts_browser_is_not_known(t: Tenants) -> None:
    device = secrets.token_urlsafe(32)
    log_in(viewer(t), make_place(device=device))
    other = t.users["merchant.developer"]
    place = make_place(device=device)
    guess(other, place)
    assert throttle_level((LOGIN["pair"], f"{other.email} {place.network}")) == 1
    assert throttle_level((LOGIN["device"], f"{other.email} {device}")) == 0


def test_an_address_is_slowed_over_all_accounts() -> None:
    place = make_place()
    address = (LOGIN["address"], place.network)
    for _ in range(LOGIN["address"].free):
        with pytest.raises(errors.AuthenticationFailed):
            sessions.password_check(
                email=f"{secrets.token_hex(6)}@example.test", password="x", place=place
            )
    hold(address)
    with pytest.raises(errors.RateLimited):
        sessions.password_check(
            email=f"{secrets.token_hex(6)}@example.test", password="x", place=place
        )


def test_right_passwords_cost_an_address_nothing(t: Tenants) -> None:
    place = make_place()
    for role in ("viewer", "developer", "admin"):
        log_in(t.users[f"merchant.{role}"], place)
    assert throttle_level((LOGIN["address"], place.network)) == 0


def test_a_right_password_starts_its_pair_over(t: Tenants) -> None:
    place = make_place()
    for _ in range(3):
        guess(viewer(t), place, times=4)
        assert log_in(viewer(t), place) == "token"


def test_a_place_is_known_by_a_finished_login_alone() -> None:
    t = make_tenants(totp=True)
    place = make_place()
    assert log_in(viewer(t), place) == "otp_required"
    assert login_guard.known_kinds(user_id=viewer(t).id, place=place) == frozenset()
    sessions.login_recorded(user=viewer(t), place=place, door="portal")
    assert login_guard.known_kinds(user_id=viewer(t).id, place=place) == {"network"}


def test_the_table_of_places_holds_neither_address_nor_token(t: Tenants) -> None:
    place = make_place(device=secrets.token_urlsafe(32))
    log_in(viewer(t), place)
    with tenant_atomic(Scope.auth()):
        rows = list(KnownPlace.objects.filter(user=viewer(t)))
    assert {row.kind for row in rows} == {"network", "device"}
    for row in rows:
        assert len(bytes(row.digest)) == 32
        assert place.network.encode() not in bytes(row.digest)


def _steps(email: str) -> list[str]:
    """The statements of a failed login, without their values."""
    with (
        CaptureQueriesContext(connection) as seen,
        pytest.raises(errors.AuthenticationFailed) as refused,
    ):
        sessions.password_check(email=email, password="wrong", place=make_place())
    assert refused.value.code == "credentials_invalid"
    return [re.sub(r"'[^']*'", "?", query["sql"]) for query in seen.captured_queries]


def test_an_unknown_account_takes_the_same_steps_and_gets_the_same_answers(t: Tenants) -> None:
    nobody = User(email=f"{secrets.token_hex(8)}@example.test")
    assert _steps(nobody.email) == _steps(viewer(t).email)
    place = make_place()
    guess(nobody, place, times=5)
    hold(pair_of(nobody, place))
    assert guess(nobody, place) == ["rate_limited"]
    for _ in range(60):
        guess(nobody, make_place())
    hold(account_of(nobody))
    assert guess(nobody, make_place()) == ["rate_limited"]


# ---- one-time codes ---------------------------------------------------------------------------


def try_code(user: User, place: Place, code: str = "000000") -> str:
    try:
        sessions.second_factor_check(user=user, code=code, place=place)
    except errors.AppError as error:
        return error.code
    return "passed"


def test_guesses_of_codes_are_slowed_and_stop_no_owner_at_a_known_place() -> None:
    t = make_tenants(totp=True)
    user, home, elsewhere = viewer(t), make_place(), make_place()
    sessions.login_recorded(user=user, place=home, door="portal")
    assert [try_code(user, elsewhere) for _ in range(5)] == ["otp_invalid"] * 5
    hold((OTP["pair"], f"{user.email} {elsewhere.network}"))
    code = totp.code_at(t.totp_secrets[user.id])
    assert try_code(user, elsewhere, code) == "rate_limited"
    for _ in range(60):
        try_code(user, make_place())
    hold((OTP["account"], user.email))
    assert try_code(user, make_place(), code) == "rate_limited"
    assert try_code(user, home, code) == "passed"


# ---- the pages and the API --------------------------------------------------------------------


def browser(address: str = "") -> Client:
    return Client(REMOTE_ADDR=address or new_address())


def post_login(client: Client, user: User, *, password: str = PASSWORD) -> Any:
    return client.post("/login", {"email": user.email, "password": password})


def network_of(address: str) -> str:
    return address.removesuffix("1") + "/64"


def test_the_page_says_how_long_to_wait_and_offers_a_link(t: Tenants) -> None:
    address, user = new_address(), viewer(t)
    for _ in range(5):
        assert post_login(browser(address), user, password="wrong").status_code == 422
    hold((LOGIN["pair"], f"{user.email} {network_of(address)}"))
    response = post_login(browser(address), user)
    assert response.status_code == 429
    assert HOUR_S - 60 < int(response.headers["Retry-After"]) <= HOUR_S + 300
    assert 'href="/login/link"' in response.content.decode()


def test_the_second_step_is_slowed_with_a_time_too() -> None:
    t = make_tenants(totp=True)
    address, user = new_address(), viewer(t)
    client = browser(address)
    post_login(client, user)
    for _ in range(5):
        assert client.post("/login/verify", {"code": "000000"}).status_code == 422
    hold((OTP["pair"], f"{user.email} {network_of(address)}"))
    response = client.post("/login/verify", {"code": "000000"})
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > HOUR_S - 60


def test_the_api_answers_429_with_a_time(t: Tenants) -> None:
    address, user = new_address(), viewer(t)
    client = browser(address)

    def ask(password: str) -> Any:
        return client.post(
            "/v1/auth/login",
            {"email": user.email, "password": password},
            content_type="application/json",
        )

    assert [ask("wrong").status_code for _ in range(5)] == [401] * 5
    hold((LOGIN["pair"], f"{user.email} {network_of(address)}"))
    response = ask(PASSWORD)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limited")
    assert int(response.headers["Retry-After"]) > HOUR_S - 60


def test_a_login_leaves_a_cookie_that_scripts_cannot_read(t: Tenants) -> None:
    client = browser()
    assert post_login(client, viewer(t)).status_code == 302
    cookie = client.cookies[settings.DEVICE_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], len(cookie.value)) == (True, "Lax", 43)
    place = make_place(device=cookie.value)
    assert login_guard.known_kinds(user_id=viewer(t).id, place=place) == {"device"}


def test_a_refused_login_leaves_no_cookie(t: Tenants) -> None:
    client = browser()
    post_login(client, viewer(t), password="wrong")
    assert settings.DEVICE_COOKIE_NAME not in client.cookies


# ---- the owner's proof ------------------------------------------------------------------------


def ask_for_link(client: Client, user: User) -> str:
    """The address of the link that the owner reads in the mail."""
    assert client.post("/login/link", {"email": user.email}).status_code == 200
    with tenant_atomic(Scope.auth()):
        row = SignInLink.objects.filter(user=user).order_by("-id").first()
    assert row is not None
    assert mail.sign_in_link_mail(link_id=row.id)
    sent = outbox.outbox[-1]
    assert sent.to == [user.email]
    found = re.search(r"/login/link/\S+", str(sent.body))
    assert found is not None
    return found[0]


def besiege(user: User) -> None:
    """Close the account's counter for every place that it does not know."""
    while throttle_level(account_of(user)) < LOGIN["account"].free:
        guess(user, make_place())
    hold(account_of(user))


def test_the_link_lets_the_owners_browser_try_at_once(t: Tenants) -> None:
    user, client = viewer(t), browser()
    besiege(user)
    assert post_login(client, user).status_code == 429
    link = ask_for_link(client, user)
    assert client.get(link).status_code == 200
    assert post_login(client, user).status_code == 429  # looking at it is not enough
    assert client.post(link).headers["Location"] == "/login"
    assert post_login(client, user, password="wrong").status_code == 422
    assert "_auth_user_id" not in client.session
    assert post_login(client, user).status_code == 302
    assert "_auth_user_id" in client.session
    with tenant_atomic(Scope.staff()):
        actions = AuditRecord.objects.filter(target=user.public_id).values_list("action", flat=True)
        assert {"user.sign_in_link_requested", "user.sign_in_link_used"} <= set(actions)


def test_the_second_factor_is_asked_for_after_the_link_too() -> None:
    t = make_tenants(totp=True)
    user, client = viewer(t), browser()
    client.post(ask_for_link(client, user))
    assert post_login(client, user).headers["Location"] == "/login/verify"
    assert "_auth_user_id" not in client.session


def test_the_link_works_once(t: Tenants) -> None:
    user, client = viewer(t), browser()
    link = ask_for_link(client, user)
    assert client.post(link).status_code == 302
    assert client.post(link).status_code == client.get(link).status_code == 404


def test_a_link_that_a_stranger_asked_for_lets_the_owners_browser_in_alone(t: Tenants) -> None:
    user, stranger, owner = viewer(t), browser(), browser()
    besiege(user)
    link = ask_for_link(stranger, user)
    assert owner.post(link).status_code == 302
    assert post_login(stranger, user).status_code == 429
    assert post_login(owner, user).status_code == 302
    assert "_auth_user_id" in owner.session


def newest_link(user: User) -> str:
    """What the owner reads in the newest mail, whoever asked for it."""
    with tenant_atomic(Scope.auth()):
        row = SignInLink.objects.filter(user=user).order_by("-id").first()
    assert row is not None
    return f"/login/link/{sign_in_links.sign_in_link_token(row.id)}"


def use_up(counter: Counter, user: User, address: str) -> int:
    """Strangers ask until no more mails go to the account; how many went."""
    sent = 0
    while browser().post(address, {"email": user.email}).status_code == 200:
        sent += 1
    assert throttle_level(counter) == counter[0].free
    return sent


def test_strangers_who_use_up_the_links_do_not_keep_the_owner_out(t: Tenants) -> None:
    """While no link can be asked for, one that works is in the mailbox."""
    user, owner = viewer(t), browser()
    besiege(user)
    links = (mail_limits.SIGN_IN, user.email)
    assert use_up(links, user, "/login/link") == 5
    assert owner.post("/login/link", {"email": user.email}).status_code == 429
    assert post_login(owner, user).status_code == 429
    with tenant_atomic(Scope.auth()):
        newest = SignInLink.objects.filter(user=user).order_by("-id")[0]
    closed_for_s = timedelta(seconds=links[0].max_delay_s)
    assert newest.expires_at > newest.created_at + closed_for_s

    assert owner.post(newest_link(user)).status_code == 302
    assert post_login(owner, user).status_code == 302


def test_a_used_link_allows_the_next_one(t: Tenants) -> None:
    user = viewer(t)
    links = (mail_limits.SIGN_IN, user.email)
    use_up(links, user, "/login/link")
    assert browser().post(newest_link(user)).status_code == 302
    assert use_up(links, user, "/login/link") == 1
    assert browser().post(newest_link(user)).status_code == 302


def test_a_strangers_reset_mail_lets_the_owner_set_a_password(t: Tenants) -> None:
    """Its link works for longer than the next mail is kept back, and frees the next when used."""
    user = viewer(t)
    resets = (mail_limits.RESETS, user.email)
    assert use_up(resets, user, "/password/reset") == 1
    assert resets[0].max_delay_s < settings.PASSWORD_RESET_TIMEOUT
    token = passwords.reset_link_issue(user=user)
    response = browser().post(
        f"/password/reset/{user.public_id}/{token}", {"password": "quite another sentence"}
    )
    assert response.status_code == 200
    assert use_up(resets, user, "/password/reset") == 1


def test_an_old_link_is_refused_and_not_mailed(t: Tenants, admin_dsn: str) -> None:
    user, client = viewer(t), browser()
    link = ask_for_link(client, user)
    with tenant_atomic(Scope.auth()):
        row = SignInLink.objects.get(user=user)
    with psycopg.connect(admin_dsn) as conn:
        conn.execute(
            "UPDATE tenants_signinlink SET expires_at = created_at WHERE id = %s", [row.id]
        )
    assert client.get(link).status_code == client.post(link).status_code == 404
    assert not mail.sign_in_link_mail(link_id=row.id)


def test_the_browser_of_a_link_is_known_for_an_hour(t: Tenants) -> None:
    user, client = viewer(t), browser()
    client.post(ask_for_link(client, user))
    with tenant_atomic(Scope.auth()):
        row = KnownPlace.objects.get(user=user)
    assert row.expires_at - row.seen_at == sign_in_links.PASS_LIFETIME
    post_login(client, user)
    with tenant_atomic(Scope.auth()):
        known = KnownPlace.objects.get(user=user, kind="device")
    assert known.expires_at - known.seen_at == login_guard.DEVICE_KNOWN_FOR


def test_asking_for_a_link_says_nothing_about_an_account(t: Tenants) -> None:
    user, nobody = viewer(t), f"{secrets.token_hex(8)}@example.test"
    answers, statuses = [], []
    for email in (user.email, nobody):
        client = browser()
        pages = [client.post("/login/link", {"email": email}) for _ in range(3)]
        shown = [re.sub(r'value="[^"]{64}"', "", page.content.decode()) for page in pages]
        statuses.append([page.status_code for page in pages])
        answers.append([text.replace(email, "") for text in shown])
    assert answers[0] == answers[1]
    assert statuses == [[200, 200, 429]] * 2
    with tenant_atomic(Scope.auth()):
        assert SignInLink.objects.filter(user=user).count() == 2


def test_a_new_password_by_mail_is_a_proof_too(t: Tenants) -> None:
    user, old, new = viewer(t), make_place(), make_place()
    log_in(user, old)
    besiege(user)
    token = passwords.reset_link_issue(user=user)
    passwords.password_set(user=user, token=token, password="quite another sentence", place=new)
    assert log_in(user, new, password="quite another sentence") == "token"
    assert login_guard.known_kinds(user_id=user.id, place=old) == frozenset()
