"""Failures as payers and merchants see them; the intent keeps the provider's own words.

A provider that refuses our key or our request says nothing about the card. The payer must not be
asked for another one, and the merchant can fix nothing: staff reads the original on the intent.
"""

from __future__ import annotations

from typing import Final

#: The code under which such faults are shown.
PROVIDER_UNAVAILABLE: Final = "provider_unavailable"
_MESSAGE: Final = (
    "This could not be processed because of a fault on our side, which our staff can see. No money"
    " was moved. Try again later."
)
#: Codes of `ProviderError` that are about our account or our request (Stripe's vocabulary).
_OUR_FAULTS: Final = frozenset(
    {
        "account_closed",
        "account_invalid",
        "api_key_expired",
        "idempotency_key_reused",
        "invalid_request",
        "livemode_mismatch",
        "platform_api_key_expired",
        "provider_credentials",
        "provider_error",
        "secret_key_required",
        "testmode_charges_only",
        "tls_version_unsupported",
        "url_invalid",
    }
)


def is_our_fault(code: str) -> bool:
    """Whether a failure is about our account at the provider, or about how we asked."""
    return code in _OUR_FAULTS or code.startswith("parameter_")


def shown_failure(code: str, message: str) -> tuple[str, str]:
    """The code and message for all but staff."""
    return (PROVIDER_UNAVAILABLE, _MESSAGE) if is_our_fault(code) else (code, message)
