from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core.outbox import subscribe_batch
        from notifications import realtime, services

        subscribe_batch("*", realtime.push)
        subscribe_batch("*", services.fan_out)
