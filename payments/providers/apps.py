"""Registers the adapters that accounts may be opened at."""

from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "payments.providers"
    label = "providers"
    verbose_name = "Payment providers"

    def ready(self) -> None:
        from payments.providers import registry
        from payments.providers.sandbox.adapter import SandboxAdapter
        from payments.providers.sandbox.server import DatabaseServer

        registry.register(
            "sandbox",
            lambda config: SandboxAdapter(
                config, DatabaseServer(config.account_id, base_url=config.api_base)
            ),
        )
