"""The sandbox as a provider."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.conf import settings

from core.errors import InvalidRequest
from payments.providers.adapters.sandbox.adapter import SIGNATURE_HEADER, SandboxAdapter
from payments.providers.adapters.sandbox.server import DatabaseServer
from payments.providers.base import AccountConfig, Adapter
from payments.providers.declared import AmountRule
from payments.providers.registry import ProviderSpec


def webhook_secret(account_id: UUID) -> str:
    """The secret that the sandbox and we share: both derive it, so it is not stored."""
    purpose = f"sandbox webhook {account_id}"
    return hmac.new(str(settings.SECRET_KEY).encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _adapter(config: AccountConfig) -> Adapter:
    return SandboxAdapter(config, DatabaseServer(config.account_id, base_url=config.api_base))


def _api_base() -> str:
    # Its pages are served by this platform.
    return str(settings.BASE_URL)


def _check(_credentials: Mapping[str, str], livemode: bool) -> None:
    if livemode:
        raise InvalidRequest("The sandbox takes test payments only.", param="livemode")


SPEC: Final = ProviderSpec(
    adapter=_adapter,
    api_base=_api_base,
    check=_check,
    signature_headers=(SIGNATURE_HEADER,),
    amounts=lambda _currency: AmountRule(),
    derived_secrets=lambda account_id: (webhook_secret(account_id),),
    takes_card_numbers=True,
)
