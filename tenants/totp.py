"""Codes of authenticator apps (RFC 6238): the secret, how it is shown and sealed, what matches."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

from django_otp.oath import TOTP

from core import crypto

ISSUER: Final = "Merchantry"
STEP_S: Final = 30
# One step either way: clocks of phones differ (RFC 6238, section 5.2).
TOLERANCE_STEPS: Final = 1
SECRET_BYTES: Final = 20
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


def matching_step(secret: bytes, code: str, *, after_step: int) -> int | None:
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
