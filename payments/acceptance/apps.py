from __future__ import annotations

from django.apps import AppConfig


class AcceptanceConfig(AppConfig):
    name = "payments.acceptance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from payments.acceptance.services.handlers import PaymentHandler, RefundHandler
        from payments.intents.documents import register_document

        register_document("payment", PaymentHandler())
        register_document("refund", RefundHandler())
