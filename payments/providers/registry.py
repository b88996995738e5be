"""Adapters by provider name. A new provider is one class and one line here."""

from __future__ import annotations

from collections.abc import Callable

from payments.providers.base import AccountConfig, Adapter

_FACTORIES: dict[str, Callable[[AccountConfig], Adapter]] = {}


def register(name: str, factory: Callable[[AccountConfig], Adapter]) -> None:
    """Make a provider known under ``name``. Registering a name twice replaces it."""
    _FACTORIES[name] = factory


def provider_names() -> tuple[str, ...]:
    """Every provider that accounts may be opened at, in alphabetical order."""
    return tuple(sorted(_FACTORIES))


def build_adapter(config: AccountConfig) -> Adapter:
    """The adapter that speaks for ``config``. Raises LookupError for an unknown provider."""
    try:
        factory = _FACTORIES[config.provider]
    except KeyError:
        known = ", ".join(provider_names()) or "none"
        raise LookupError(f"No provider named {config.provider!r}. Known: {known}.") from None
    return factory(config)
