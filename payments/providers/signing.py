"""Signatures of the form ``t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">``.

The scheme is Stripe's (https://docs.stripe.com/webhooks#verify-manually); the sandbox uses it too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from payments.providers.base import WEBHOOK_TOLERANCE_S, SignatureExpired, SignatureInvalid

# A header that names more signatures than this was not made by a provider.
_MAX_HEADER_CHARS = 2_000


def sign(*, raw_body: bytes, secret: str, timestamp_s: int) -> str:
    """The header that proves who sent ``raw_body``, and when."""
    return f"t={timestamp_s},v1={_digest(raw_body, secret, timestamp_s)}"


def verify(
    *,
    signature: str,
    raw_body: bytes,
    secrets: Sequence[str],
    now_s: int,
    tolerance_s: int = WEBHOOK_TOLERANCE_S,
) -> None:
    """Check a header against any of ``secrets``, then its age.

    Raises SignatureInvalid for a missing, malformed or wrong signature and SignatureExpired for one
    that is further from ``now_s`` than ``tolerance_s``. The age is judged last: an attacker without
    the secret learns nothing about our clock.
    """
    timestamp_s, candidates = _parse(signature)
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise SignatureInvalid("This account has no webhook secret; set one before sending events.")
    expected = [_digest(raw_body, secret, timestamp_s) for secret in usable]
    # Every pair is compared, so that the time taken does not say which one came close.
    matches = [hmac.compare_digest(one, other) for one in expected for other in candidates]
    if not any(matches):
        raise SignatureInvalid("The signature does not match the body and this account's secret.")
    if abs(now_s - timestamp_s) > tolerance_s:
        raise SignatureExpired(
            f"The event was signed more than {tolerance_s} seconds away from now; send it again."
        )


def _parse(signature: str) -> tuple[int, list[str]]:
    if not signature:
        raise SignatureInvalid("The signature header is missing.")
    if len(signature) > _MAX_HEADER_CHARS:
        raise SignatureInvalid("The signature header is longer than any provider sends.")
    pairs = [part.strip().partition("=") for part in signature.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    candidates = [value for name, _, value in pairs if name == "v1" and value.isascii()]
    valid_time = len(times) == 1 and times[0].isascii() and times[0].isdigit()
    if not valid_time or len(times[0]) > 12 or not candidates:
        raise SignatureInvalid("The signature header must read t=<unix time>,v1=<signature>.")
    return int(times[0]), candidates


def _digest(raw_body: bytes, secret: str, timestamp_s: int) -> str:
    signed = b"%d." % timestamp_s + raw_body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
