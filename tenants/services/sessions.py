"""Logging people and machines in: passwords, tokens, refresh with rotation."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.utils import timezone

from core import errors, ids
from core.attempts import Throttle, attempts_take
from core.context import Actor
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import keys, selectors, tokens
from tenants.lock_objects import lock_user
from tenants.models import RefreshToken, TotpDevice, User
from tenants.models.people import normalise_email
from tenants.places import Place
from tenants.seats import Seat, find_seat, seats_of
from tenants.services import login_guard, second_factor
from tenants.services.api_keys import MACHINE_PURPOSE
from tenants.tokens import TokenPair

REFRESH_PURPOSE: Final = "refresh_token"
REFRESH_LIFETIME: Final = timedelta(days=30)
REFRESH_PREFIX: Final = "mrt_"
#: Wrong secrets of machine clients by network: they cannot be guessed, only be a burden.
MACHINE_FAILURES: Final = Throttle(
    "machine_address", free=300, first_delay_s=1, max_delay_s=300, leak_s=3
)


def user_actor(user: User, *, ip: str | None) -> Actor:
    """The actor of what a person does to their own account, outside any tenant."""
    return Actor(kind="user", id=user.public_id, label=user.email, ip=ip, user_id=user.id)


def stranger(*, ip: str | None) -> Actor:
    """The actor of what is tried with an address that has no account."""
    return Actor(kind="user", id="unknown", label="unknown", ip=ip)


def password_check(*, email: str, password: str, place: Place) -> User:
    """The person with this e-mail address and password.

    Tries are counted before the password is looked at (`login_guard`). An address without an
    account takes the same steps as a wrong password, and gets the same answer.

    Raises:
        AuthenticationFailed: wrong address or password, or a person who was deactivated.
        RateLimited: too many wrong tries; says for how long.
    """
    address = normalise_email(email)
    with tenant_atomic(Scope.auth()):
        user = User.objects.filter(email=address).first()
        stored = password_hash(user.id if user else None)
    attempt = login_guard.attempt_begin(
        step="login", account=address, user_id=user.id if user else None, place=place
    )
    if user is None:
        make_password(password)
    elif _is_password_of(user, password, stored=stored) and user.is_active:
        login_guard.attempt_right(attempt)
        return user
    with tenant_atomic(Scope.auth()):
        writes = Writes()
        writes.record(
            user,
            action="user.login_failed",
            event=None,
            actor=user_actor(user, ip=place.ip) if user else stranger(ip=place.ip),
        )
        writes.flush()
    raise _wrong_credentials()


def second_factor_check(*, user: User, code: str, place: Place) -> TotpDevice:
    """Check an app's code or a recovery code. Returns the person's device.

    Raises:
        AuthenticationFailed: wrong, used or old code (``otp_invalid``), or no device.
        RateLimited: too many wrong tries (`tenants.services.login_guard`).
    """
    attempt = login_guard.attempt_begin(
        step="otp", account=user.email, user_id=user.id, place=place
    )
    with tenant_atomic(Scope.auth()):
        device: TotpDevice | None = TotpDevice.objects.filter(
            user_id=user.id, confirmed=True
        ).first()
    if device is not None and (
        second_factor.totp_verify(device=device, code=code)
        or second_factor.recovery_code_use(user=user, code=code, ip=place.ip)
    ):
        login_guard.attempt_right(attempt)
        return device
    raise errors.AuthenticationFailed(
        "The code is wrong, too old or was used before. Wait for the next one in your app.",
        code="otp_invalid",
        param="otp",
    )


def login_recorded(*, user: User, place: Place, door: str) -> None:
    """Note a finished login in the audit log, on the person, and where it came from."""
    with tenant_atomic(Scope.auth()):
        writes = Writes()
        user.last_login = timezone.now()
        writes.update(user, "last_login")
        writes.record(
            user,
            action="user.logged_in",
            event=None,
            actor=user_actor(user, ip=place.ip),
            after={"door": door},
        )
        login_guard.place_remember(writes, user_id=user.id, place=place)
        writes.flush()


def logout_recorded(*, user: User, actor: Actor) -> None:
    """Note in the audit log that a person ended a session."""
    with tenant_atomic(Scope.auth()):
        writes = Writes()
        writes.record(user, action="user.logged_out", event=None, actor=actor)
        writes.flush()


def person_exists(*, email: str) -> bool:
    """Whether an account has this address (asked only for the holder of a mailed link)."""
    with tenant_atomic(Scope.auth()):
        return User.objects.filter(email=normalise_email(email)).exists()


def jwt_login(
    *,
    email: str,
    password: str,
    otp: str,
    tenant: str,
    livemode: bool,
    place: Place,
) -> TokenPair:
    """Log an app's user in and start a family of refresh tokens.

    ``tenant`` is the public id of a reseller or merchant to sit in, empty for the first seat.

    Raises:
        AuthenticationFailed: credentials wrong; ``otp_required`` when a code is due and missing.
        PermissionDenied: no seat in any tenant, or live mode asked for a test-only role.
        NotFound: a tenant in which the person has no seat.
        RateLimited: too many wrong tries.
    """
    user = password_check(email=email, password=password, place=place)
    passed = False
    if selectors.has_confirmed_totp(user_id=user.id):
        if not otp:
            raise errors.AuthenticationFailed(
                "Send the six digits of your authenticator app as otp.",
                code="otp_required",
                param="otp",
            )
        second_factor_check(user=user, code=otp, place=place)
        passed = True
    seat = _choose_seat(user=user, tenant=tenant)
    if livemode and not seat.may_use_live_mode:
        raise errors.PermissionDenied(
            "A developer works in test mode only.", code="live_mode_not_allowed", param="livemode"
        )
    if (user.is_staff or seat.role == "owner") and not passed:
        raise errors.AuthenticationFailed(
            "Owners and staff need a second factor. Enrol one by logging in to the portal.",
            code="otp_enrolment_required",
        )
    login_recorded(user=user, place=place, door="token")
    with tenant_atomic(Scope.auth()):
        now = lock_user(user.id)
        if now is None or now.login_stamp != user.login_stamp or not now.is_active:
            # A new password, set since this one was looked at, ends every login.
            raise _wrong_credentials()
        return _issue(
            user=user,
            seat=seat,
            livemode=livemode,
            passed=passed,
            family=ids.new_id(),
            expires_at=None,
        )


def jwt_refresh(*, refresh_token: str, ip: str | None) -> TokenPair:
    """Exchange a refresh token for a new pair; each one works once.

    Using a token again means that two parties hold it: the whole family is revoked. The old token
    is used up and the next one stored under the lock that every revocation takes (`lock_user`).

    Raises AuthenticationFailed (``refresh_token_invalid``, ``refresh_token_reused``).
    """
    wanted = keys.digests(refresh_token, purpose=REFRESH_PURPOSE)
    with tenant_atomic(Scope.auth()):
        user = lock_user(_holder(wanted))
        found = _invalid_refresh() if user is None else _rotate(user, wanted, ip=ip)
    # Raised after the commit: a family that was revoked stays so.
    if isinstance(found, errors.AuthenticationFailed):
        raise found
    return found


def jwt_logout(*, refresh_token: str) -> None:
    """Revoke the family of a refresh token; an unknown one changes nothing."""
    wanted = keys.digests(refresh_token, purpose=REFRESH_PURPOSE)
    with tenant_atomic(Scope.auth()):
        lock_user(_holder(wanted))
        fetch_all(
            "UPDATE tenants_refreshtoken SET revoked_at = now() WHERE revoked_at IS NULL"
            " AND family IN (SELECT family FROM tenants_refreshtoken WHERE token_digest = ANY(%s))"
            " RETURNING 1",
            [wanted],
        )


def machine_session(
    *, client_id: str, client_secret: str, place: Place, scopes: Collection[str] = ()
) -> TokenPair:
    """An access token for a machine client (RFC 6749, 4.4).

    Args:
        scopes: the most that the token may do (RFC 6749, 3.3); empty is all that the client may.

    Raises:
        AuthenticationFailed: the credentials are wrong.
        InvalidRequest: a scope that the client does not have (``scope_unknown``).
    """
    row = fetch_one(
        "SELECT machine_id, name, digest, pepper_version, livemode, scopes, expires_at,"
        " revoked_at, merchant_id, reseller_id, merchant_status"
        " FROM tenants_machine_client_find(%s)",
        [client_id],
    )
    now = timezone.now()
    if (
        row is None
        or not keys.matches(
            client_secret, purpose=MACHINE_PURPOSE, stored=row[2], pepper_version=row[3]
        )
        or row[7] is not None
        or (row[6] is not None and row[6] <= now)
        or row[10] == "closed"
    ):
        attempts_take((MACHINE_FAILURES, place.network))
        raise errors.AuthenticationFailed(
            "The client id or secret is wrong, or the client was revoked.", code="client_invalid"
        )
    beyond = sorted(set(scopes) - set(row[5]))
    if beyond:
        raise errors.InvalidRequest(
            f"The scope {beyond[0]!r} is unknown or not this client's. It has {' '.join(row[5])}.",
            code="scope_unknown",
            param="scope",
        )
    granted = tuple(scope for scope in row[5] if not scopes or scope in scopes)
    access, lifetime_s = tokens.issue_access(
        tokens.TokenSubject(
            kind="machine",
            subject_id=row[0],
            label=row[1],
            level="merchant",
            role="",
            reseller_id=row[9],
            merchant_id=row[8],
            livemode=row[4],
            scopes=granted,
        )
    )
    return TokenPair(access, lifetime_s, "", None, granted)


def password_hash(user_id: UUID | None) -> str:
    """The hash of one person's password, in the scope of logging in; empty without a person."""
    row = fetch_one("SELECT tenants_password_hash(%s)", [user_id or UUID(int=0)])
    return "" if row is None or row[0] is None else str(row[0])


def _is_password_of(user: User, password: str, *, stored: str) -> bool:
    """Whether this is the person's password; a hash of an older strength is replaced.

    Django's own `User.check_password` would save the new hash outside any scope, where the login
    role may not write it.
    """
    due: list[str] = []
    if not check_password(password, stored, due.append):
        return False
    if not due:
        return True
    renewed = make_password(password)
    with tenant_atomic(Scope.auth()):
        # Only the hash that was checked is replaced, never a password that was set meanwhile; and
        # no staff member's: staff get the new strength with their next password.
        done = fetch_one("SELECT tenants_password_renew(%s, %s, %s)", [user.id, stored, renewed])
        now = password_hash(user.id)
    return done == (True,) or now == stored or check_password(password, now)


def _choose_seat(*, user: User, tenant: str) -> Seat:
    offered = seats_of(user_id=user.id)
    if not offered:
        raise errors.PermissionDenied("You are a member of no tenant.", code="no_membership")
    if not tenant:
        return offered[0]
    prefix = {"platform": "plt", "reseller": "res", "merchant": "mer"}
    for seat in offered:
        if ids.encode(prefix[seat.level], seat.tenant_id) == tenant:
            return seat
    raise errors.NotFound("You are not a member of that tenant.", param="tenant")


def _issue(
    *,
    user: User,
    seat: Seat,
    livemode: bool,
    passed: bool,
    family: UUID,
    expires_at: datetime | None,
) -> TokenPair:
    """Sign an access token and store the next refresh token of the family, under the lock.

    A family ends thirty days after its login, however often it is refreshed.
    """
    access, lifetime_s = tokens.issue_access(
        tokens.TokenSubject(
            kind="user",
            subject_id=user.id,
            label=user.email,
            level=seat.level,
            role=seat.role,
            reseller_id=seat.reseller_id,
            merchant_id=seat.merchant_id,
            livemode=livemode,
            second_factor=passed,
            membership_id=seat.membership_id,
            family=family,
        )
    )
    refresh = REFRESH_PREFIX + keys.random_token()
    stored = keys.digest(refresh, purpose=REFRESH_PURPOSE)
    writes = Writes()
    writes.insert(
        RefreshToken(
            user_id=user.id,
            membership_id=seat.membership_id,
            merchant_id=seat.merchant_id,
            livemode=livemode,
            second_factor=passed,
            family=family,
            token_digest=stored.value,
            pepper_version=stored.pepper_version,
            expires_at=expires_at or timezone.now() + REFRESH_LIFETIME,
        )
    )
    writes.flush()
    return TokenPair(access, lifetime_s, refresh, seat)


def _holder(digests: list[bytes]) -> UUID | None:
    """Whose refresh token this is, or was."""
    row = fetch_one(
        "SELECT user_id FROM tenants_refreshtoken WHERE token_digest = ANY(%s)", [digests]
    )
    return None if row is None else row[0]


def _rotate(
    user: User, digests: list[bytes], *, ip: str | None
) -> TokenPair | errors.AuthenticationFailed:
    """Use a token up and issue the next one, or say why not; under the lock."""
    row = fetch_one(
        "UPDATE tenants_refreshtoken SET used_at = now()"
        " WHERE token_digest = ANY(%s) AND used_at IS NULL AND revoked_at IS NULL"
        " AND expires_at > now()"
        " RETURNING membership_id, merchant_id, livemode, second_factor, family, expires_at",
        [digests],
    )
    if row is None:
        if not _revoke_reused(digests):
            return _invalid_refresh()
        _audit_user(user, action="user.refresh_token_reused", ip=ip)
        return errors.AuthenticationFailed(
            "This refresh token was used before; every refresh token of that login is now revoked, "
            "and its access token has ended with them. Log in again.",
            code="refresh_token_reused",
        )
    membership_id, merchant_id, livemode, passed, family, expires_at = row
    seat = find_seat(user_id=user.id, membership_id=membership_id, merchant_id=merchant_id)
    if not user.is_active or seat is None:
        return errors.AuthenticationFailed(
            "The membership behind this token has ended.", code="refresh_token_invalid"
        )
    return _issue(
        user=user,
        seat=seat,
        livemode=livemode and seat.may_use_live_mode,
        passed=passed,
        family=family,
        expires_at=expires_at,
    )


def _revoke_reused(digests: list[bytes]) -> bool:
    """Revoke the family of a token that was used before; False for one that never was."""
    return (
        fetch_one(
            "WITH reused AS (SELECT family FROM tenants_refreshtoken"
            "  WHERE token_digest = ANY(%s) AND used_at IS NOT NULL),"
            " ended AS (UPDATE tenants_refreshtoken t SET revoked_at = now() FROM reused"
            "  WHERE t.family = reused.family AND t.revoked_at IS NULL RETURNING 1)"
            " SELECT 1 FROM reused",
            [digests],
        )
        is not None
    )


def _invalid_refresh() -> errors.AuthenticationFailed:
    return errors.AuthenticationFailed(
        "The refresh token is not valid. Log in again.", code="refresh_token_invalid"
    )


def _wrong_credentials() -> errors.AuthenticationFailed:
    # One sentence for both: the answer must not reveal which addresses are known.
    return errors.AuthenticationFailed(
        "The e-mail address or the password is wrong.", code="credentials_invalid"
    )


def _user(user_id: UUID) -> User | None:
    with tenant_atomic(Scope.auth()):
        return User.objects.filter(id=user_id).first()


def _audit_user(user: User, *, action: str, ip: str | None) -> None:
    with tenant_atomic(Scope.auth()):
        writes = Writes()
        writes.record(user, action=action, event=None, actor=user_actor(user, ip=ip))
        writes.flush()
