"""The second factor: authenticator apps (RFC 6238) and recovery codes.

A code counts once, and guesses are counted in PostgreSQL (`login_guard`).
"""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from core import errors
from core.context import Actor
from core.db import Scope, fetch_all, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import keys
from tenants.models import RecoveryCode, TotpDevice, User
from tenants.totp import matching_step, open_secret, seal_secret

RECOVERY_CODES: Final = 10
RECOVERY_PURPOSE: Final = "recovery_code"
# Without look-alikes: no 0/O, 1/I/L.
_RECOVERY_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"


def totp_verify(*, device: TotpDevice, code: str) -> bool:
    """Whether the code is right and unused; a right one is used up. Opens its own transaction."""
    secret = open_secret(device.secret_sealed, user_id=device.user_id)
    step = matching_step(secret, code.replace(" ", ""), after_step=-1)
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
    step = matching_step(secret, code.replace(" ", ""), after_step=-1)
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
        # Replaced in place: no scope of the web process may delete an authenticator, as a person
        # without one can enrol another with the password alone.
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

    The logins of apps that they confirmed end too: a thief of the device may hold their tokens.
    The next sign-in of an owner or of staff enrols another device.
    """
    for table in ("tenants_recoverycode", "tenants_totpdevice"):
        delete = f'DELETE FROM "{table}" WHERE user_id = %s RETURNING 1'  # noqa: S608 - constants
        writes.sql(delete, [user_id])
    writes.sql(
        "UPDATE tenants_refreshtoken SET revoked_at = now()"
        " WHERE user_id = %s AND revoked_at IS NULL RETURNING 1",
        [user_id],
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
