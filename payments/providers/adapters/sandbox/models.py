"""Tables of the sandbox's own bank. Nothing but the sandbox's functions reads or writes them.

They stand for another company's database: no foreign key leads out of them, merchants are known by
an opaque key, and a card number has no column to go to.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from core.models import Entity
from payments.providers.adapters.sandbox.cards import Outcome


class SandboxSource(Entity):
    """A tokenised test card: a token good for one use, or a method that may be charged again.

    What a charge on it does is copied from the catalogue when the card is tokenised, because the
    number that it follows from is thrown away there.
    """

    PREFIX: ClassVar[str] = "tok"
    UNRECORDED: ClassVar[str] = "the provider's side, not the platform's"

    merchant_key = models.CharField(max_length=64)
    reusable = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    # The idempotency key that attached a token; only methods have one.
    attach_key = models.CharField(  # noqa: DJ001 - unique among those that have one
        max_length=400, null=True, unique=True
    )
    behaviour = models.CharField(max_length=40)
    outcome = models.CharField(
        max_length=30, choices=[(item.value, item.value) for item in Outcome]
    )
    decline_code = models.CharField(max_length=60, blank=True, default="")
    decline_message = models.CharField(max_length=200, blank=True, default="")
    disputed = models.BooleanField(default=False)
    available_at_once = models.BooleanField(default=False)
    brand = models.CharField(max_length=20)
    funding = models.CharField(max_length=10)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    fingerprint = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(reusable=True) | Q(expires_at__isnull=False),
                name="sandboxsource_token_expires",
            ),
            models.CheckConstraint(
                condition=Q(last4__regex=r"^[0-9]{4}$"), name="sandboxsource_last4_is_four_digits"
            ),
        ]


class ChargeState(models.TextChoices):
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELED = "canceled"


class SandboxCharge(Entity):
    """A payment as the sandbox's bank sees it. One row is one effect on the payer's card."""

    PREFIX: ClassVar[str] = "sbpay"
    UNRECORDED: ClassVar[str] = "the provider's side, not the platform's"

    account_id = models.UUIDField()
    idempotency_key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    reference = models.CharField(max_length=255)
    merchant_key = models.CharField(max_length=64)
    amount_minor = models.BigIntegerField()
    captured_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    fee_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=5)
    manual_capture = models.BooleanField()
    state = models.CharField(max_length=20, choices=ChargeState.choices)
    outcome = models.CharField(max_length=30)
    decline_code = models.CharField(max_length=60, blank=True, default="")
    decline_message = models.CharField(max_length=200, blank=True, default="")
    disputed = models.BooleanField(default=False)
    available_at_once = models.BooleanField(default=False)
    challenge_id = models.UUIDField(null=True, unique=True)
    return_url = models.CharField(max_length=2048, blank=True, default="")
    card = models.JSONField()
    settle_after_s = models.PositiveIntegerField()
    settle_at = models.DateTimeField(null=True)
    captured_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "idempotency_key"], name="sandboxcharge_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="sandboxcharge_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(captured_minor__gte=0, captured_minor__lte=F("amount_minor")),
                name="sandboxcharge_captures_at_most_amount",
            ),
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("captured_minor")),
                name="sandboxcharge_refunds_at_most_captured",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ChargeState.values), name="sandboxcharge_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["reference", "account_id"], name="sandboxcharge_reference"),
            models.Index(
                fields=["settle_at"],
                name="sandboxcharge_to_settle",
                condition=Q(state=ChargeState.PROCESSING),
            ),
            models.Index(
                fields=["account_id", "captured_at"],
                name="sandboxcharge_captured",
                condition=Q(captured_at__isnull=False),
            ),
        ]


class SandboxOperation(Entity):
    """A capture, cancellation or refund that was asked for under an idempotency key."""

    PREFIX: ClassVar[str] = "sbop"
    UNRECORDED: ClassVar[str] = "the provider's side, not the platform's"

    account_id = models.UUIDField()
    idempotency_key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=10)
    charge_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "idempotency_key"], name="sandboxoperation_once_per_key"
            ),
        ]


class SandboxRefund(Entity):
    """Money sent back to the payer's card."""

    PREFIX: ClassVar[str] = "sbre"
    UNRECORDED: ClassVar[str] = "the provider's side, not the platform's"

    account_id = models.UUIDField()
    charge = models.ForeignKey(SandboxCharge, on_delete=models.PROTECT, related_name="refunds")
    idempotency_key = models.CharField(max_length=255)
    reference = models.CharField(max_length=255)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=5)
    reason = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "idempotency_key"], name="sandboxrefund_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="sandboxrefund_amount_positive"
            ),
        ]
        indexes = [
            models.Index(fields=["reference", "account_id"], name="sandboxrefund_reference"),
            models.Index(fields=["account_id", "created_at"], name="sandboxrefund_created"),
        ]


class SandboxEvent(Entity):
    """A webhook that the sandbox owes us, for whatever happens after an answer was given."""

    PREFIX: ClassVar[str] = "sbevt"
    UNRECORDED: ClassVar[str] = "the provider's side, not the platform's"

    account_id = models.UUIDField()
    type = models.CharField(max_length=40)
    payload = models.JSONField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"],
                name="sandboxevent_due",
                condition=Q(delivered_at__isnull=True),
            ),
        ]
