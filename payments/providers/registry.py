"""Every provider by name. A new one is a folder of `adapters`, and its name below."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from payments.providers.base import AccountConfig, Adapter
from payments.providers.declared import AmountRule

#: The folders of `adapters`; the `spec.SPEC` of each declares a provider.
PROVIDERS: Final = ("sandbox", "stripe")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """What the platform knows of a provider beside how to speak to it.

    Attributes:
        adapter: makes the adapter that speaks for an account.
        api_base: the provider's own address, for accounts that name none; may be empty.
        check: raises InvalidRequest unless an account with these credentials may be opened in this
            mode (True is live).
        signature_headers: the request headers that prove a webhook. They are kept with it, so that
            the proof can be repeated.
        amounts: which amounts of a currency it takes, so that a request can be refused before it
            is stored or sent.
        derived_secrets: the webhook secrets of an account, newest first, where they follow from
            its id; None where they are stored with the account.
        takes_card_numbers: whether our own pages may send it card numbers (test mode alone).
    """

    adapter: Callable[[AccountConfig], Adapter]
    api_base: Callable[[], str]
    check: Callable[[Mapping[str, str], bool], None]
    signature_headers: tuple[str, ...]
    amounts: Callable[[str], AmountRule]
    derived_secrets: Callable[[UUID], tuple[str, ...]] | None = None
    takes_card_numbers: bool = False


def provider_names() -> tuple[str, ...]:
    """Every provider that accounts may be opened at, in alphabetical order."""
    return tuple(sorted(PROVIDERS))


@functools.cache
def provider_spec(name: str) -> ProviderSpec:
    """The declaration of a provider. Raises LookupError for an unknown one."""
    if name not in PROVIDERS:
        known = ", ".join(provider_names())
        raise LookupError(f"No provider named {name!r}. Known: {known}.")
    spec: ProviderSpec = importlib.import_module(f"payments.providers.adapters.{name}.spec").SPEC
    return spec
