"""Registers the processors of the providers' webhooks, and the columns that hold secrets."""

from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "payments.providers"
    label = "providers"
    verbose_name = "Payment providers"

    def ready(self) -> None:
        from core.inbox import register_processor
        from core.rotation import register_sealed_column
        from payments.providers.registry import provider_names, provider_spec
        from payments.providers.selectors import ACCOUNT_TABLE
        from payments.providers.services import webhook_process

        for provider in provider_names():
            # Imported now, so that a provider with a fault keeps the process from starting.
            spec = provider_spec(provider)
            register_processor(provider, webhook_process, signature_headers=spec.signature_headers)
        for column in ("credentials", "webhook_secrets"):
            register_sealed_column(table=ACCOUNT_TABLE, column=column, tenant="key_tenant_id")
