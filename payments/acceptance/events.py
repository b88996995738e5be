"""The events of this room."""

from __future__ import annotations

from typing import Final

from core.events import Audience, declare
from payments.acceptance.shapes import CustomerOut, PaymentMethodOut, PaymentOut, RefundOut

PAYMENT_CREATED: Final = declare(
    "payment.created",
    "A payment was created; nothing has been charged yet.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_UPDATED: Final = declare(
    "payment.updated",
    "The description, reference or metadata of a payment was changed; its state was not.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_PROCESSING: Final = declare(
    "payment.processing",
    "The provider has accepted the payment and has not decided yet.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_REQUIRES_ACTION: Final = declare(
    "payment.requires_action",
    "The payer must act (3-D Secure); see `next_action`.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_AUTHORIZED: Final = declare(
    "payment.authorized",
    "The amount is held on the card and waits for its capture.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_COMPLETED: Final = declare(
    "payment.completed",
    "The payment succeeded; `amount_captured` says how much was taken.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_FAILED: Final = declare(
    "payment.failed",
    "The payment failed and will not be tried again; `failure` names the decline.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_CANCELED: Final = declare(
    "payment.canceled",
    "The payment was canceled; any authorization is released.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_DISPUTE_OPENED: Final = declare(
    "payment.dispute_opened",
    "The payer disputed the payment; the amount is held.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_DISPUTE_WON: Final = declare(
    "payment.dispute_won",
    "The dispute was won; the amount came back.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_DISPUTE_LOST: Final = declare(
    "payment.dispute_lost",
    "The dispute was lost; the amount went to the payer.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_DISPUTE_FEE: Final = declare(
    "payment.dispute_fee",
    "The provider charged for a dispute, or gave the fee back; see `dispute_fee`.",
    carries=PaymentOut,
    seen_by=Audience.WEBHOOKS,
)
REFUND_CREATED: Final = declare(
    "refund.created",
    "A refund was created and is on its way to the provider.",
    carries=RefundOut,
    seen_by=Audience.WEBHOOKS,
)
REFUND_COMPLETED: Final = declare(
    "refund.completed",
    "The provider has refunded the amount.",
    carries=RefundOut,
    seen_by=Audience.WEBHOOKS,
)
REFUND_FAILED: Final = declare(
    "refund.failed",
    "The refund failed; the amount is back in the balance.",
    carries=RefundOut,
    seen_by=Audience.WEBHOOKS,
)
CUSTOMER_CREATED: Final = declare(
    "customer.created",
    "A customer was created.",
    carries=CustomerOut,
    seen_by=Audience.WEBHOOKS,
)
CUSTOMER_UPDATED: Final = declare(
    "customer.updated",
    "A customer was changed.",
    carries=CustomerOut,
    seen_by=Audience.WEBHOOKS,
)
CUSTOMER_DELETED: Final = declare(
    "customer.deleted",
    "A customer was deleted; the personal data is gone.",
    carries=CustomerOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_METHOD_ATTACHED: Final = declare(
    "payment_method.attached",
    "A card was saved for a customer.",
    carries=PaymentMethodOut,
    seen_by=Audience.WEBHOOKS,
)
PAYMENT_METHOD_DETACHED: Final = declare(
    "payment_method.detached",
    "A saved card can no longer be charged.",
    carries=PaymentMethodOut,
    seen_by=Audience.WEBHOOKS,
)
