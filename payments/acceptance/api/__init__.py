"""The REST face of payments: parse, call one service or selector, render."""

from payments.acceptance.api.customers import (
    CustomersView,
    CustomerView,
    PaymentMethodsView,
    PaymentMethodView,
)
from payments.acceptance.api.payments import (
    PaymentCancelView,
    PaymentCaptureView,
    PaymentConfirmView,
    PaymentsView,
    PaymentView,
)
from payments.acceptance.api.refunds import RefundsView, RefundView
from payments.acceptance.api.tokens import TokensView

__all__ = [
    "CustomerView",
    "CustomersView",
    "PaymentCancelView",
    "PaymentCaptureView",
    "PaymentConfirmView",
    "PaymentMethodView",
    "PaymentMethodsView",
    "PaymentView",
    "PaymentsView",
    "RefundView",
    "RefundsView",
    "TokensView",
]
