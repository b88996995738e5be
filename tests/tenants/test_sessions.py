"""Logging in with tokens: throttling, the second factor, rotation and reuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, make_password, must_update_salt
from django.db import connections
from django.test import Client
from django.utils import timezone

from core import errors
from core.crypto import CannotOpen
from core.db import Scope, fetch_all, tenant_atomic
from core.models import AuditRecord
from tenants import keys, tokens, totp
from tenants.models import RefreshToken, TotpDevice, User
from tenants.places import Place
from tenants.seats import Seat, find_seat
from tenants.services import passwords, second_factor, sessions
from tenants.services.sessions import TokenPair
from tests.factories import PASSWORD, Tenants, make_tenants
from tests.places import make_place


def log_in(
    t: Tenants,
    role: str = "viewer",
    *,
    otp: str = "",
    password: str = PASSWORD,
    livemode: bool = False,
    tenant: str = "",
    level: str = "merchant",
    place: Place | None = None,
) -> TokenPair:
    return sessions.jwt_login(
        email=t.users[f"{level}.{role}"].email.upper(),
        password=password,
        otp=otp,
        tenant=tenant,
        livemode=livemode,
        place=place or make_place(),
    )


def code_for(t: Tenants, name: str) -> str:
    return totp.code_at(t.totp_secrets[t.users[name].id])


def audited(action: str, user: User) -> int:
    with tenant_atomic(Scope.staff()):
        return AuditRecord.objects.filter(action=action, target=user.public_id).count()


def test_a_viewer_logs_in_with_a_password() -> None:
    t = make_tenants()
    pair = log_in(t)
    assert pair.seat is not None
    assert pair.seat.merchant_id == t.merchant.id
    assert pair.refresh_token.startswith("mrt_")
    assert audited("user.logged_in", t.users["merchant.viewer"]) == 1


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD + " ", PASSWORD.upper()])
def test_a_wrong_password_is_refused_and_audited(password: str) -> None:
    t = make_tenants()
    with pytest.raises(errors.AuthenticationFailed) as caught:
        log_in(t, password=password)
    assert caught.value.code == "credentials_invalid"
    assert audited("user.login_failed", t.users["merchant.viewer"]) == 1
    with tenant_atomic(Scope.auth()):
        assert not RefreshToken.objects.filter(user=t.users["merchant.viewer"]).exists()


def set_password(user: User, password: str) -> None:
    """As by a link that was mailed."""
    token = passwords.reset_link_issue(user=user)
    passwords.password_set(user=user, token=token, password=password, place=make_place())


def age_password(user: User) -> str:
    """Give a person's password a hash that is due for an upgrade, and return it."""
    stale = make_password(PASSWORD, salt="short")
    with tenant_atomic(Scope.staff()):
        User.objects.filter(id=user.id).update(password=stale)
    return stale


def stored_password(user: User) -> str:
    with tenant_atomic(Scope.auth()):
        return sessions.password_hash(user.id)


def test_a_hash_that_is_due_is_replaced_at_login() -> None:
    t = make_tenants()
    user = t.users["merchant.viewer"]
    stale = age_password(user)

    with pytest.raises(errors.AuthenticationFailed):
        log_in(t, password="wrong")
    assert stored_password(user) == stale
    assert log_in(t).access_token

    renewed = stored_password(user)
    assert renewed != stale
    assert not must_update_salt(renewed.split("$")[1], MD5PasswordHasher.salt_entropy)
    assert log_in(t).access_token
    assert stored_password(user) == renewed


def test_a_hash_of_staff_that_is_due_stays_and_lets_them_in() -> None:
    user = make_tenants().users["platform.support"]
    stale = age_password(user)
    found = sessions.password_check(email=user.email, password=PASSWORD, place=make_place())
    assert found == user
    assert stored_password(user) == stale


def test_the_portal_replaces_a_hash_that_is_due_and_stays_logged_in() -> None:
    t = make_tenants()
    user = t.users["merchant.viewer"]
    stale = age_password(user)
    client = Client()

    assert client.post("/login", {"email": user.email, "password": PASSWORD}).status_code == 302

    assert stored_password(user) != stale
    assert client.get("/").status_code == 200


def test_a_password_that_is_set_meanwhile_is_not_replaced_by_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = make_tenants()
    user = t.users["merchant.viewer"]
    age_password(user)
    newer = make_password("another-long-password")

    def slow(password: str) -> str:
        with tenant_atomic(Scope.staff()):
            User.objects.filter(id=user.id).update(password=newer)
        return make_password(password)

    monkeypatch.setattr(sessions, "make_password", slow)
    with pytest.raises(errors.AuthenticationFailed):
        log_in(t)
    assert stored_password(user) == newer


def test_an_unknown_address_gets_the_same_answer() -> None:
    with pytest.raises(errors.AuthenticationFailed) as caught:
        sessions.password_check(email="nobody@example.test", password="x", place=make_place())
    assert caught.value.code == "credentials_invalid"


def test_a_deactivated_person_is_refused() -> None:
    t = make_tenants()
    with tenant_atomic(Scope.staff()):
        User.objects.filter(id=t.users["merchant.viewer"].id).update(is_active=False)
    with pytest.raises(errors.AuthenticationFailed):
        log_in(t)


def test_an_enrolled_person_needs_the_code() -> None:
    t = make_tenants(totp=True)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        log_in(t)
    assert caught.value.code == "otp_required"
    pair = log_in(t, otp=code_for(t, "merchant.viewer"))
    assert tokens.read_access(pair.access_token).second_factor


def test_a_code_works_once() -> None:
    t = make_tenants(totp=True)
    code = code_for(t, "merchant.viewer")
    log_in(t, otp=code)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        log_in(t, otp=code)
    assert caught.value.code == "otp_invalid"


def test_a_code_used_by_two_at_once_lets_one_in() -> None:
    t = make_tenants(totp=True)
    user = t.users["merchant.viewer"]
    code = code_for(t, "merchant.viewer")
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user=user)
    results: list[bool] = []
    barrier = threading.Barrier(4)

    def use() -> None:
        barrier.wait()
        results.append(second_factor.totp_verify(device=device, code=code))
        connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]


def test_an_old_code_and_a_later_one_are_refused() -> None:
    t = make_tenants(totp=True)
    user = t.users["merchant.viewer"]
    secret = t.totp_secrets[user.id]
    now = timezone.now().timestamp()
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user=user)
    for offset_s in (-120, 120):
        code = totp.code_at(secret, time_s=now + offset_s)
        assert not second_factor.totp_verify(device=device, code=code)


def test_a_recovery_code_works_once_and_is_audited() -> None:
    t = make_tenants()
    user = t.users["merchant.viewer"]
    secret = totp.new_secret()
    codes = second_factor.enrolment_confirm(
        user=user,
        secret=secret,
        code=totp.code_at(secret),
        actor=sessions.user_actor(user, ip=None),
    )
    assert len(set(codes)) == 10
    assert log_in(t, otp=codes[0].upper()).access_token
    with pytest.raises(errors.AuthenticationFailed):
        log_in(t, otp=codes[0])
    assert audited("user.recovery_code_used", user) == 1


def test_recovery_codes_of_another_person_are_nothing() -> None:
    t = make_tenants(totp=True)
    mine, other = t.users["merchant.viewer"], t.users["merchant.admin"]
    secret = totp.new_secret()
    codes = second_factor.enrolment_confirm(
        user=other,
        secret=secret,
        code=totp.code_at(secret),
        actor=sessions.user_actor(other, ip=None),
    )
    with pytest.raises(errors.AuthenticationFailed):
        sessions.second_factor_check(user=mine, code=codes[0], place=make_place())


def test_the_secret_of_an_authenticator_is_sealed_for_its_user() -> None:
    t = make_tenants(totp=True)
    mine, other = t.users["merchant.viewer"], t.users["merchant.admin"]
    with tenant_atomic(Scope.auth()):
        sealed = TotpDevice.objects.get(user=mine).secret_sealed
    assert t.totp_secrets[mine.id].hex() not in sealed
    assert totp.open_secret(sealed, user_id=mine.id) == t.totp_secrets[mine.id]
    with pytest.raises(CannotOpen):
        totp.open_secret(sealed, user_id=other.id)


def test_owners_and_staff_need_a_second_factor() -> None:
    t = make_tenants()
    for level, role in (("merchant", "owner"), ("platform", "support")):
        with pytest.raises(errors.AuthenticationFailed) as caught:
            log_in(t, role, level=level)
        assert caught.value.code == "otp_enrolment_required"


def test_a_developer_gets_no_live_token() -> None:
    with pytest.raises(errors.PermissionDenied) as caught:
        log_in(make_tenants(), "developer", livemode=True)
    assert caught.value.code == "live_mode_not_allowed"


def test_a_foreign_tenant_cannot_be_chosen() -> None:
    t, other = make_tenants(), make_tenants()
    with pytest.raises(errors.NotFound):
        log_in(t, tenant=other.merchant.public_id)
    assert log_in(t, tenant=t.merchant.public_id).access_token


def test_refreshing_rotates() -> None:
    t = make_tenants()
    first = log_in(t)
    second = sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    third = sessions.jwt_refresh(refresh_token=second.refresh_token, ip=None)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert tokens.read_access(third.access_token).merchant_id == t.merchant.id


def test_using_a_refresh_token_twice_revokes_the_whole_family() -> None:
    t = make_tenants()
    first = log_in(t)
    bystander = log_in(t)
    second = sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    assert caught.value.code == "refresh_token_reused"
    assert "every refresh token" in caught.value.message
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=second.refresh_token, ip=None)
    assert audited("user.refresh_token_reused", t.users["merchant.viewer"]) >= 1
    assert sessions.jwt_refresh(refresh_token=bystander.refresh_token, ip=None).access_token


def test_two_refreshes_at_once_do_not_both_succeed() -> None:
    first = log_in(make_tenants())
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def refresh() -> None:
        barrier.wait()
        try:
            sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
            outcomes.append("ok")
        except errors.AuthenticationFailed as error:
            outcomes.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("ok") == 1


def test_a_family_ends_thirty_days_after_its_login(admin_dsn: str) -> None:
    first = log_in(make_tenants())
    second = sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    with tenant_atomic(Scope.auth()):
        family = _family(second)
        ends = set(RefreshToken.objects.filter(family=family).values_list("expires_at"))
    assert len(ends) == 1
    with psycopg.connect(admin_dsn) as conn:
        conn.execute(
            "UPDATE tenants_refreshtoken SET expires_at = now() - interval '1 s' WHERE family = %s",
            [family],
        )
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=second.refresh_token, ip=None)


def _family(pair: TokenPair) -> UUID:
    wanted = keys.digests(pair.refresh_token, purpose=sessions.REFRESH_PURPOSE)
    return RefreshToken.objects.get(token_digest__in=wanted).family


def test_logging_out_revokes_the_family() -> None:
    first = log_in(make_tenants())
    second = sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    sessions.jwt_logout(refresh_token=second.refresh_token)
    sessions.jwt_logout(refresh_token="mrt_unknown")
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=second.refresh_token, ip=None)


def test_a_removed_membership_ends_refreshing() -> None:
    t = make_tenants()
    pair = log_in(t)
    with tenant_atomic(Scope.staff()):
        fetch_all(
            "DELETE FROM tenants_membership WHERE id = %s RETURNING 1",
            [t.memberships["merchant.viewer"].id],
        )
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)


def test_a_new_password_ends_every_token() -> None:
    t = make_tenants()
    pair = log_in(t)
    user = t.users["merchant.viewer"]
    with pytest.raises(errors.InvalidRequest):
        set_password(user, "short")
    assert sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None).access_token
    pair = log_in(t)
    set_password(user, "quite another long sentence")
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)
    assert log_in(t, password="quite another long sentence").access_token


def _reuse(t: Tenants, first: TokenPair, current: TokenPair) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="used before"):
        sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)


def _log_out(t: Tenants, first: TokenPair, current: TokenPair) -> None:
    sessions.jwt_logout(refresh_token=current.refresh_token)


def _reset(t: Tenants, first: TokenPair, current: TokenPair) -> None:
    with tenant_atomic(Scope.auth()):
        user = User.objects.get(id=t.users["merchant.viewer"].id)
    set_password(user, "quite another long sentence")


@pytest.mark.parametrize("end", [_reuse, _log_out, _reset])
def test_what_ends_a_family_ends_a_token_that_is_being_made(
    end: Callable[[Tenants, TokenPair, TokenPair], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    t = make_tenants()
    first = log_in(t)
    current = sessions.jwt_refresh(refresh_token=first.refresh_token, ip=None)
    threads: list[threading.Thread] = []

    def run() -> None:
        end(t, first, current)
        connections.close_all()

    def meanwhile(**wanted: Any) -> Seat | None:
        # The old token is used up, the next one not stored: here the family ends.
        threads.append(threading.Thread(target=run))
        threads[0].start()
        threads[0].join(timeout=1)
        return find_seat(**wanted)

    monkeypatch.setattr(sessions, "find_seat", meanwhile)
    made = sessions.jwt_refresh(refresh_token=current.refresh_token, ip=None)
    monkeypatch.setattr(sessions, "find_seat", find_seat)
    threads[0].join()
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=made.refresh_token, ip=None)


def test_a_login_with_a_password_that_changed_meanwhile_gives_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = make_tenants()
    recorded = sessions.login_recorded

    def meanwhile(**given: Any) -> None:
        recorded(**given)
        pair = TokenPair("", 0, "", None)
        _reset(t, pair, pair)

    monkeypatch.setattr(sessions, "login_recorded", meanwhile)
    with pytest.raises(errors.AuthenticationFailed) as caught:
        log_in(t)
    assert caught.value.code == "credentials_invalid"
    with tenant_atomic(Scope.auth()):
        assert not RefreshToken.objects.filter(user=t.users["merchant.viewer"]).exists()
