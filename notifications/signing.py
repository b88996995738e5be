"""Standard Webhooks signatures (https://github.com/standard-webhooks, specification 1.0.0).

The signed content is `{webhook-id}.{webhook-timestamp}.{body}`; the secret is `whsec_` and base64
of 32 random bytes; the header holds one `v1,<base64 HMAC-SHA256>` per live secret, separated by
spaces.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the public mark of a secret
SECRET_BYTES: Final = 32
TOLERANCE_S: Final = 300

HEADER_ID: Final = "webhook-id"
HEADER_TIMESTAMP: Final = "webhook-timestamp"
HEADER_SIGNATURE: Final = "webhook-signature"


class SignatureInvalid(ValueError):
    """The webhook is not genuine, or too old to be accepted."""


def new_secret() -> str:
    """A fresh `whsec_…` secret; it is shown once and stored encrypted."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign_headers(
    *, secrets_live: Sequence[str], message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt, with one signature for each secret that is live."""
    signatures = (_signature(secret, message_id, timestamp_s, body) for secret in secrets_live)
    return {
        HEADER_ID: message_id,
        HEADER_TIMESTAMP: str(timestamp_s),
        HEADER_SIGNATURE: " ".join(signatures),
    }


def verify(
    *, secret: str, headers: Mapping[str, str], body: bytes, now_s: float | None = None
) -> None:
    """Check a received webhook as an integrator should; raise SignatureInvalid.

    Any one matching signature is enough, so that a receiver survives the rotation of its secret.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message_id = found[HEADER_ID]
        timestamp_s = int(found[HEADER_TIMESTAMP])
        given = found[HEADER_SIGNATURE].split()
    except (KeyError, ValueError):
        raise SignatureInvalid("a webhook header is missing or malformed") from None
    now = time.time() if now_s is None else now_s
    if abs(now - timestamp_s) > TOLERANCE_S:
        raise SignatureInvalid("the timestamp is too far away from this clock")
    expected = _signature(secret, message_id, timestamp_s, body).encode()
    if not any(hmac.compare_digest(expected, candidate.encode()) for candidate in given):
        raise SignatureInvalid("no signature matches")


def _signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise SignatureInvalid("the secret is not whsec_ and base64") from None
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
