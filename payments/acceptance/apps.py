from __future__ import annotations

from django.apps import AppConfig


class AcceptanceConfig(AppConfig):
    name = "payments.acceptance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from ledger.chart import TransferCode
        from ledger.documents import register_document_prefix, register_documents
        from notifications.realtime import register_document_checker
        from payments.acceptance.selectors import payment_is_visible
        from payments.acceptance.selectors.named import payments_named, refunds_named
        from payments.acceptance.services.disputes import dispute_notice
        from payments.acceptance.services.handlers import PaymentHandler, RefundHandler
        from payments.acceptance.services.payments import DOCUMENT_TYPE, payment_of_service
        from payments.acceptance.services.refunds import (
            refund_of_provider,
            refund_total_of_provider,
        )
        from payments.intents.documents import register_document, register_service_document
        from payments.intents.models import Operation
        from payments.intents.provider_events import (
            register_dispute_handler,
            register_refund_handler,
            register_refund_total_handler,
        )

        register_document_prefix(
            "pay",
            (
                TransferCode.PAYMENT,
                TransferCode.PLATFORM_FEE,
                TransferCode.RESELLER_RESIDUAL,
                TransferCode.AVAILABLE,
                TransferCode.DISPUTE_OPENED,
                TransferCode.DISPUTE_WON,
                TransferCode.DISPUTE_LOST,
                TransferCode.DISPUTE_FEE,
            ),
        )
        register_document_prefix("ref", (TransferCode.REFUND,))
        register_documents("payment", payments_named)
        register_documents("refund", refunds_named)
        register_document_checker("pay", payment_is_visible)
        register_dispute_handler(dispute_notice)
        register_refund_handler(refund_of_provider)
        register_refund_total_handler(refund_total_of_provider)
        register_document(DOCUMENT_TYPE, PaymentHandler())
        register_service_document(Operation.PAYMENT, DOCUMENT_TYPE, payment_of_service)
        register_document("refund", RefundHandler())
