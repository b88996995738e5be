"""Every write on payments, refunds, customers and saved methods."""

from payments.acceptance.services.customers import (
    customer_create,
    customer_delete,
    customer_update,
    payment_method_attach,
    payment_method_detach,
)
from payments.acceptance.services.describing import payment_update
from payments.acceptance.services.payments import (
    PaymentDraft,
    Seller,
    payment_cancel,
    payment_capture,
    payment_confirm,
    payment_create,
)
from payments.acceptance.services.refunds import refund_create
from payments.acceptance.services.release import release_due

__all__ = [
    "PaymentDraft",
    "Seller",
    "customer_create",
    "customer_delete",
    "customer_update",
    "payment_cancel",
    "payment_capture",
    "payment_confirm",
    "payment_create",
    "payment_method_attach",
    "payment_method_detach",
    "payment_update",
    "refund_create",
    "release_due",
]
