"""Trusted services that sign their requests: looked up, verified, their nonces used once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core import crypto, errors, hmac_auth
from core.db import fetch_one

TABLE: Final = "tenants_servicecaller"
COLUMN: Final = "secret_sealed"


@dataclass(frozen=True, slots=True)
class VerifiedCaller:
    """A service caller whose signature was right; bound to a merchant or to none."""

    caller_id: UUID
    name: str
    scopes: tuple[str, ...]
    livemode: bool
    merchant_id: UUID | None
    reseller_id: UUID | None


def seal_secret(secret: str, *, caller_id: UUID) -> str:
    """Encrypt a caller's secret for its row."""
    return crypto.seal(
        secret, tenant_id=crypto.PLATFORM_TENANT, table=TABLE, column=COLUMN, pk=caller_id
    )


def service_caller_verify(*, request: hmac_auth.SignedRequest, signature: str) -> VerifiedCaller:
    """Find the caller and check time, signature and nonce. Raises AuthenticationFailed.

    The HMAC key is the secret's text in ASCII. The nonce is written last: only a caller
    that knows the secret can fill that table.
    """
    row = fetch_one(
        "SELECT caller_id, name, secret_sealed, scopes, livemode, merchant_id, reseller_id"
        " FROM tenants_service_caller_find(%s)",
        [request.key_id],
    )
    if row is None:
        raise errors.AuthenticationFailed(
            "No service caller has this key id, or it was revoked.", code="signature_key_unknown"
        )
    caller_id, name, sealed, scopes, livemode, merchant_id, reseller_id = row
    secret = crypto.open_sealed(
        sealed, tenant_id=crypto.PLATFORM_TENANT, table=TABLE, column=COLUMN, pk=caller_id
    )
    hmac_auth.verify(secret=secret.encode(), request=request, given=signature)
    hmac_auth.use_nonce(key_id=request.key_id, nonce=request.nonce)
    return VerifiedCaller(caller_id, name, tuple(scopes), livemode, merchant_id, reseller_id)
