"""Every read that a face needs of payments, refunds, customers and saved methods."""

from payments.acceptance.selectors.books import LedgerLine, ledger_line_out, payment_ledger
from payments.acceptance.selectors.customers import (
    customer_get,
    customers,
    payment_method_get,
    payment_methods,
)
from payments.acceptance.selectors.payments import (
    PaymentFilter,
    Refundable,
    payment_attempts,
    payment_events,
    payment_get,
    payment_is_visible,
    payment_refundable,
    payment_search,
    payments,
    refund_get,
    refunds,
    volume_by_day,
    volume_by_merchant,
)
from payments.acceptance.selectors.shown import SHOWN_STATES, shown_state

__all__ = [
    "SHOWN_STATES",
    "LedgerLine",
    "PaymentFilter",
    "Refundable",
    "customer_get",
    "customers",
    "ledger_line_out",
    "payment_attempts",
    "payment_events",
    "payment_get",
    "payment_is_visible",
    "payment_ledger",
    "payment_method_get",
    "payment_methods",
    "payment_refundable",
    "payment_search",
    "payments",
    "refund_get",
    "refunds",
    "shown_state",
    "volume_by_day",
    "volume_by_merchant",
]
