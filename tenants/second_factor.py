"""The second factor: authenticator apps (RFC 6238) and recovery codes.

The secret is sealed for its user, a code counts once, and guesses are counted in PostgreSQL.
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from django_otp.oath import TOTP

from core import crypto, errors
from core.context import Actor
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import keys
from tenants.models import RecoveryCode, TotpDevice, User

ISSUER: Final = "Merchantry"
STEP_S: Final = 30
# One step either way: clocks of phones differ (RFC 6238, section 5.2).
TOLERANCE_STEPS: Final = 1
SECRET_BYTES: Final = 20
RECOVERY_CODES: Final = 10
RECOVERY_PURPOSE: Final = "recovery_code"
# Without look-alikes: no 0/O, 1/I/L.
_RECOVERY_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_TABLE: Final = "tenants_totpdevice"
_COLUMN: Final = "secret_sealed"


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an app: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_uri(*, secret: bytes, email: str) -> str:
    """What the QR code says (Key Uri Format of Google Authenticator)."""
    label = quote(f"{ISSUER}:{email}")
    query = urlencode({"secret": secret_text(secret), "issuer": ISSUER})
    return f"otpauth://totp/{label}?{query}"


def code_at(secret: bytes, *, time_s: float | None = None) -> str:
    """The six digits that an app would show (tests, ``./dev demo``)."""
    totp = TOTP(secret, step=STEP_S)
    totp.time = time.time() if time_s is None else time_s
    return f"{totp.token():06d}"


def seal_secret(secret: bytes, *, user_id: UUID) -> str:
    """Encrypt an authenticator's secret for its user's row."""
    return crypto.seal(
        secret.hex(),
        tenant_id=crypto.PLATFORM_TENANT,
        table=_TABLE,
        column=_COLUMN,
        pk=user_id,
    )


def open_secret(sealed: str, *, user_id: UUID) -> bytes:
    """Decrypt an authenticator's secret. Raises CannotOpen for another user's."""
    return bytes.fromhex(
        crypto.open_sealed(
            sealed,
            tenant_id=crypto.PLATFORM_TENANT,
            table=_TABLE,
            column=_COLUMN,
            pk=user_id,
        )
    )


def _matching_step(secret: bytes, code: str, *, after_step: int) -> int | None:
    """The time step whose code this is, newer than ``after_step``; ``None`` when none matches."""
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    now_step = int(time.time()) // STEP_S
    for step in range(now_step - TOLERANCE_STEPS, now_step + TOLERANCE_STEPS + 1):
        if step > after_step and secrets.compare_digest(
            code_at(secret, time_s=step * STEP_S), code
        ):
            return step
    return None


def totp_verify(*, device: TotpDevice, code: str) -> bool:
    """Whether the code is right and unused; a right one is used up. Opens its own transaction."""
    secret = open_secret(device.secret_sealed, user_id=device.user_id)
    step = _matching_step(secret, code.replace(" ", ""), after_step=-1)
    if step is None:
        return False
    with tenant_atomic(Scope.auth()):
        # The condition decides a race of two requests with one code: one of them finds no row.
        used = fetch_one(
            "UPDATE tenants_totpdevice SET last_step = %s"
            " WHERE id = %s AND last_step < %s RETURNING 1",
            [step, device.pk, step],
        )
    return used is not None


def enrolment_confirm(*, user: User, secret: bytes, code: str, actor: Actor) -> list[str]:
    """Store a new authenticator after a first right code; returns ten recovery codes, shown once.

    Replaces an earlier device and its recovery codes. Raises AuthenticationFailed for a wrong code.
    """
    step = _matching_step(secret, code.replace(" ", ""), after_step=-1)
    if step is None:
        raise errors.AuthenticationFailed(
            "The code does not match. Check that the app shows Merchantry and the clock is right.",
            code="otp_invalid",
            param="otp",
        )
    sealed = seal_secret(secret, user_id=user.id)
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    writes = Writes()
    writes.insert(*(_recovery_row(user_id=user.id, code=text) for text in codes))
    writes.record(user, action="user.second_factor_enrolled", event=None, actor=actor)
    with tenant_atomic(Scope.auth()):
        fetch_all("DELETE FROM tenants_recoverycode WHERE user_id = %s RETURNING 1", [user.id])
        # Replaced in place: no scope of the web's takes an authenticator away, for whoever has none
        # may enrol another with the password alone.
        TotpDevice.objects.bulk_create(
            [
                TotpDevice(
                    user_id=user.id,
                    name="Authenticator app",
                    confirmed=True,
                    secret_sealed=sealed,
                    last_step=step,
                )
            ],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["name", "confirmed", "secret_sealed", "last_step"],
        )
        writes.flush()
    return codes


def second_factor_remove(writes: Writes, *, user_id: UUID) -> None:
    """Add to a unit of work that device and recovery codes go.

    The logins of apps that they confirmed end too: whoever took the device may hold their tokens.
    The next sign-in of an owner or of staff enrols another device.
    """
    for table in ("tenants_recoverycode", "tenants_totpdevice"):
        writes.sql(f'DELETE FROM "{table}" WHERE user_id = %s RETURNING 1', [user_id])  # noqa: S608
    writes.sql(
        "UPDATE tenants_refreshtoken SET revoked_at = now()"
        " WHERE user_id = %s AND revoked_at IS NULL RETURNING 1",
        [user_id],
    )


def has_confirmed_totp(*, user_id: UUID) -> bool:
    """Whether the person has an authenticator; works before a scope is open."""
    return (
        fetch_one("SELECT 1 FROM tenants_totpdevice WHERE user_id = %s AND confirmed", [user_id])
        is not None
    )


def _new_recovery_code() -> str:
    """Ten characters in two groups: 49 bits, and guesses are slowed like those of codes."""
    text = "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(10))
    return f"{text[:5]}-{text[5:]}"


def _recovery_row(*, user_id: UUID, code: str) -> RecoveryCode:
    stored = keys.digest(f"{user_id}:{code}", purpose=RECOVERY_PURPOSE)
    return RecoveryCode(
        user_id=user_id, code_digest=stored.value, pepper_version=stored.pepper_version
    )


def recovery_code_use(*, user: User, code: str, ip: str | None) -> bool:
    """Use up a recovery code; one statement decides a race."""
    wanted = keys.digests(f"{user.id}:{code.strip().lower()}", purpose=RECOVERY_PURPOSE)
    with tenant_atomic(Scope.auth()):
        used = fetch_one(
            "UPDATE tenants_recoverycode SET used_at = now()"
            " WHERE user_id = %s AND code_digest = ANY(%s) AND used_at IS NULL RETURNING id",
            [user.id, wanted],
        )
        if used is None:
            return False
        writes = Writes()
        writes.record(
            user,
            action="user.recovery_code_used",
            event=None,
            actor=Actor(kind="user", id=user.public_id, label=user.email, ip=ip, user_id=user.id),
        )
        writes.flush()
    return True
