"""Stripe as a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from core.errors import InvalidRequest
from payments.providers.adapters.stripe.adapter import SIGNATURE_HEADER, StripeAdapter
from payments.providers.adapters.stripe.amounts import amount_rule
from payments.providers.registry import ProviderSpec


def _api_base() -> str:
    return str(settings.STRIPE_API_BASE)


def _check(credentials: Mapping[str, str], livemode: bool) -> None:
    mode = "live" if livemode else "test"
    key = credentials.get("secret_key", "")
    if not key.startswith((f"sk_{mode}_", f"rk_{mode}_")):
        raise InvalidRequest(
            f"A {mode} account at Stripe needs a secret key that begins with sk_{mode}_.",
            code="provider_key_mode",
            param="credentials.secret_key",
        )


SPEC: Final = ProviderSpec(
    adapter=StripeAdapter,
    api_base=_api_base,
    check=_check,
    signature_headers=(SIGNATURE_HEADER,),
    amounts=amount_rule,
)
