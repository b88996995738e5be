"""Money in, in the merchant's terms: customers, saved methods, payments, refunds."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.card_columns import MASK, Exempt
from core.models import TenantOwned
from payments.acceptance.states import PaymentStatus, RefundStatus

#: What is left of a payment to its merchant, as a column of a query; `Payment.net_minor` of a row.
_LEAVES: Final = (
    "fee_minor", "amount_refunded_minor", "amount_disputed_minor", "amount_lost_minor",
    "dispute_fee_minor",
)  # fmt: skip
NET_MINOR: Final = F("amount_captured_minor") - sum(
    (F(name) for name in _LEAVES[1:]), F(_LEAVES[0])
)


class Customer(TenantOwned):
    """A payer as the merchant describes them; we make no identity check."""

    PREFIX: ClassVar[str] = "cus"

    email = models.EmailField(blank=True)
    name = models.CharField(max_length=120, blank=True)
    reference = models.CharField(max_length=100, blank=True, help_text="The merchant's own id.")
    metadata = models.JSONField(default=dict, blank=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["merchant_id", "livemode", "id"], name="customer_of_merchant"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["merchant_id", "livemode", "-id"], name="customer_merchant_newest"
            ),
            models.Index(fields=["merchant_id", "email"], name="customer_email"),
            # Staff have an e-mail address or a reference, and look for whose customer it is.
            models.Index(fields=["email"], name="customer_any_email", condition=~Q(email="")),
            models.Index(
                fields=["reference", "merchant_id"],
                name="customer_reference",
                condition=~Q(reference=""),
            ),
        ]


class PaymentMethod(TenantOwned):
    """A card that a customer lets the merchant charge again: the provider's token, never a PAN."""

    CARD_NUMBERS: ClassVar = {
        "provider_method": Exempt("the provider's own id, by which it is charged"),
        "provider_customer": Exempt("the provider's own id"),
        "fingerprint": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "pm"

    customer = models.ForeignKey(
        Customer, null=True, on_delete=models.PROTECT, related_name="payment_methods"
    )
    provider_account_id = models.UUIDField()
    provider_method = models.CharField(max_length=100)
    provider_customer = models.CharField(max_length=100, blank=True)
    brand = models.CharField(max_length=20)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    fingerprint = models.CharField(max_length=64, blank=True)
    detached_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["merchant_id", "livemode", "id"], name="payment_method_of_merchant"
            ),
            # One card of the provider is one method, until it is detached.
            models.UniqueConstraint(
                fields=["provider_account_id", "provider_method"],
                condition=Q(detached_at__isnull=True),
                name="payment_method_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["customer", "-id"], name="payment_method_customer"),
        ]


class Payment(TenantOwned):
    """A sum that a payer owes a merchant. Amounts are in minor units of `currency`.

    `amount_refunded_minor` grows when a refund is requested and shrinks when it fails, so
    that concurrent refunds can never exceed the capture. `version` counts the writes; each is
    conditional on the one read.
    """

    CARD_NUMBERS: ClassVar = {
        "next_action_url": Exempt("the provider's own address"),
        "failure_code": MASK,
        "failure_message": MASK,
        "card": MASK,
    }

    PREFIX: ClassVar[str] = "pay"
    UNRECORDED: ClassVar = {
        "version": "counts the writes",
        "updated_at": "tells when the row was written",
        "next_action_url": "where the payer is sent while the status stays",
        "card": "what the provider says of the card",
        "last4": "what the provider says of the card",
    }

    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=5)
    status = models.CharField(
        max_length=16, choices=PaymentStatus.choices, default=PaymentStatus.PENDING
    )
    version = models.PositiveIntegerField(default=1)
    manual_capture = models.BooleanField(default=False)
    amount_capturable_minor = models.BigIntegerField(default=0)
    amount_captured_minor = models.BigIntegerField(default=0)
    amount_refunded_minor = models.BigIntegerField(default=0)
    amount_disputed_minor = models.BigIntegerField(default=0)
    amount_lost_minor = models.BigIntegerField(
        default=0, db_default=0, help_text="What payers' banks took back in disputes."
    )
    dispute_fee_minor = models.BigIntegerField(
        default=0, db_default=0, help_text="What the provider charged for disputes."
    )
    fee_minor = models.BigIntegerField(default=0)

    customer = models.ForeignKey(
        Customer, null=True, on_delete=models.PROTECT, related_name="payments"
    )
    payment_method = models.ForeignKey(
        PaymentMethod, null=True, on_delete=models.PROTECT, related_name="payments"
    )
    token = models.CharField(max_length=100, blank=True)
    intent_id = models.UUIDField(null=True, help_text="The attempt that counts.")
    # The column keeps its earlier name, so that processes of two versions can run side by side.
    sales_channel = models.CharField(
        max_length=16, default="api", db_column="channel", help_text="Where it was sold."
    )
    card = models.JSONField(default=dict, blank=True)
    last4 = models.CharField(max_length=4, blank=True)

    description = models.CharField(max_length=500, blank=True)
    reference = models.CharField(max_length=100, blank=True)
    statement_descriptor = models.CharField(max_length=22, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    return_url = models.CharField(max_length=500, blank=True)
    next_action_url = models.CharField(max_length=500, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)

    capture_before = models.DateTimeField(
        null=True, help_text="When a hold that was not captured is given up."
    )
    available_at = models.DateTimeField(null=True, help_text="When the net becomes available.")
    released_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(
        null=True, help_text="When it was captured, which completes it."
    )
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0)
                & Q(amount_captured_minor__gte=0)
                & Q(amount_captured_minor__lte=F("amount_minor"))
                & Q(amount_refunded_minor__gte=0)
                & Q(amount_refunded_minor__lte=F("amount_captured_minor"))
                & Q(amount_disputed_minor__gte=0)
                & Q(amount_lost_minor__gte=0),
                name="payment_amounts_in_range",
            ),
            models.CheckConstraint(
                condition=Q(status__in=PaymentStatus.values), name="payment_status_known"
            ),
            models.UniqueConstraint(
                fields=["merchant_id", "livemode", "id"], name="payment_of_merchant"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "livemode", "-id"], name="payment_merchant_newest"),
            models.Index(fields=["reseller_id", "livemode", "-id"], name="payment_reseller_newest"),
            models.Index(
                fields=["merchant_id", "livemode", "status", "-id"], name="payment_merchant_status"
            ),
            # By what people paste first: staff look for it among all merchants.
            models.Index(
                fields=["reference", "merchant_id"],
                name="payment_reference",
                condition=~Q(reference=""),
            ),
            models.Index(fields=["last4", "merchant_id", "-id"], name="payment_last4"),
            models.Index(fields=["customer", "-id"], name="payment_customer"),
            models.Index(
                fields=["merchant_id", "livemode", "completed_at"],
                include=["currency", "amount_captured_minor"],
                name="payment_merchant_captured",
                condition=Q(completed_at__isnull=False),
            ),
            models.Index(
                fields=["reseller_id", "livemode", "completed_at"],
                include=["merchant_id", "currency", "amount_captured_minor"],
                name="payment_reseller_captured",
                condition=Q(completed_at__isnull=False),
            ),
            # What people look for among millions of payments that are none of it.
            *(
                models.Index(
                    fields=[f"{level}_id", "livemode", "-id"],
                    name=f"payment_{level}_{kind}",
                    condition=Q(**{f"amount_{kind}_minor__gt": 0}),
                )
                for level in ("merchant", "reseller")
                for kind in ("capturable", "refunded", "disputed")
            ),
            models.Index(
                fields=["available_at"],
                name="payment_to_release",
                condition=Q(released_at__isnull=True) & Q(available_at__isnull=False),
            ),
        ]

    @property
    def net_minor(self) -> int:
        """What was captured, less all that left it: fee, refunds, disputes; also below 0."""
        leaves: int = sum(getattr(self, name) for name in _LEAVES)
        return self.amount_captured_minor - leaves


class PaymentEvent(TenantOwned):
    """One line of a payment's history; append-only, written with the change that it records."""

    CARD_NUMBERS: ClassVar = {
        "actor_label": MASK,
        "message": MASK,
        "data": MASK,
    }

    PREFIX: ClassVar[str] = "pev"
    UNRECORDED: ClassVar[str] = "the payment's history, written beside its audit record"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="events")
    type = models.CharField(max_length=40)
    status = models.CharField(max_length=16)
    amount_minor = models.BigIntegerField(null=True)
    actor_kind = models.CharField(max_length=16)
    actor_label = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=300, blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["payment", "id"], name="payment_event_order")]


class Refund(TenantOwned):
    """Money that goes back to the payer, in part or whole."""

    CARD_NUMBERS: ClassVar = {
        "failure_code": MASK,
        "failure_message": MASK,
    }

    PREFIX: ClassVar[str] = "ref"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=5)
    status = models.CharField(
        max_length=12, choices=RefundStatus.choices, default=RefundStatus.PROCESSING
    )
    reason = models.CharField(max_length=100, blank=True)
    intent_id = models.UUIDField(null=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=Q(status__in=RefundStatus.values), name="refund_status_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "livemode", "-id"], name="refund_merchant_newest"),
            models.Index(fields=["payment", "id"], name="refund_payment"),
        ]
