from __future__ import annotations

from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    name = "payments.checkout"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core.outbox import subscribe
        from payments.checkout.following import FOLLOWED, follow_payment

        for event_type in FOLLOWED:
            subscribe(event_type, follow_payment)
