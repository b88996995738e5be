from __future__ import annotations

from django.apps import AppConfig


class IntentsConfig(AppConfig):
    name = "payments.intents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from payments.intents import provider_events

        provider_events.register()
