from __future__ import annotations

from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    name = "payments.checkout"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core.outbox import subscribe
        from notifications.catalogue import register_event_types
        from payments.checkout.events import PATTERNS, follow_payment
        from payments.checkout.recording import PUBLIC_EVENTS

        register_event_types(PUBLIC_EVENTS)
        for pattern in PATTERNS:
            subscribe(pattern, follow_payment)
