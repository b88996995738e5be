"""Registers the adapters that accounts may be opened at."""

from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "payments.providers"
    label = "providers"
    verbose_name = "Payment providers"

    def ready(self) -> None:
        from core.inbox import register_processor
        from core.rotation import register_sealed_column
        from payments.providers import registry
        from payments.providers.sandbox.adapter import SandboxAdapter
        from payments.providers.sandbox.server import DatabaseServer
        from payments.providers.selectors import ACCOUNT_TABLE
        from payments.providers.services import webhook_process
        from payments.providers.stripe.adapter import StripeAdapter

        registry.register(
            "sandbox",
            lambda config: SandboxAdapter(
                config, DatabaseServer(config.account_id, base_url=config.api_base)
            ),
        )
        registry.register("stripe", StripeAdapter)
        for provider in registry.provider_names():
            register_processor(provider, webhook_process)
        for column in ("credentials", "webhook_secrets"):
            register_sealed_column(table=ACCOUNT_TABLE, column=column, tenant="key_tenant_id")
