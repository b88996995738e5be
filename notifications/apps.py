from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core.metrics import register_gauge
        from core.outbox import subscribe, subscribe_batch
        from core.retention import Rule, register_rule
        from core.rotation import register_sealed_column
        from notifications import events, realtime, services, tasks
        from notifications.services import delivery, webhooks

        subscribe_batch("*", realtime.push)
        subscribe_batch("*", services.fan_out)
        subscribe(events.WEBHOOK_ENDPOINT_DISABLED.name, tasks.on_endpoint_disabled)
        register_gauge(
            "merchantry_webhooks_due", "Deliveries that are due now.", delivery.due_count
        )
        register_rule(Rule("notifications_webhookattempt", "true"))
        register_rule(Rule("notifications_webhookdelivery", "state <> 'pending'"))
        for column in ("secret_sealed", "previous_secret_sealed"):
            register_sealed_column(table=webhooks.TABLE, column=column, tenant="merchant_id")
