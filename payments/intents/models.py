"""One intent is one attempt to move the money of a document over one channel."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.card_columns import MASK, Exempt
from core.models import TenantOwned
from payments.intents.states import IntentState, Step


class Operation(models.TextChoices):
    """What kind of movement it is; routing and bookings go by it."""

    PAYMENT = "payment"
    REFUND = "refund"


class Intent(TenantOwned):
    """An attempt, with everything that a worker needs to bring it to its end.

    `step` names the call that is under way at the channel: it is written and committed before the
    call and cleared with the answer, so that the poller knows after a crash what may have happened
    at the channel. `steps` numbers the captures and cancellations that were asked for: a
    repetition after a crash keeps the number, and with it the provider's idempotency key, while a
    new request is a new one. `version` counts the writes; each is conditional on the one read.
    Amounts are in minor units of `currency`.
    """

    CARD_NUMBERS: ClassVar = {
        "external_id": Exempt("the channel's own id, by which it is asked"),
        "next_action_url": Exempt("the provider's own address"),
        "failure_code": MASK,
        "failure_message": MASK,
        "card": MASK,
        "exceptions": MASK,
    }

    PREFIX: ClassVar[str] = "int"
    UNRECORDED: ClassVar[str] = "its document is recorded; steps asked for and exceptions on itself"

    # The document may belong to any room above, so it is named, not referenced.
    document_type = models.CharField(max_length=24)
    document_id = models.UUIDField(null=True)
    operation = models.CharField(max_length=12, choices=Operation.choices)
    channel = models.CharField(max_length=32)
    refers_to = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="referring"
    )

    state = models.CharField(
        max_length=10, choices=IntentState.choices, default=IntentState.CREATED
    )
    step = models.CharField(max_length=10, choices=Step.choices, default=Step.NONE, blank=True)
    steps = models.PositiveSmallIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    unsent = models.BooleanField(
        default=False, help_text="The step was not sent: the provider took no calls. A worker will."
    )
    manual_capture = models.BooleanField(default=False)

    amount_minor = models.BigIntegerField()
    settle_amount_minor = models.BigIntegerField(null=True, help_text="What the settle step asks.")
    settled_amount_minor = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=5)

    # The price, fixed when the intent is validated: later changes of the plan leave it alone.
    fee_bps = models.PositiveIntegerField(default=0)
    fee_fixed_minor = models.BigIntegerField(default=0)
    reseller_share_bps = models.PositiveIntegerField(default=0)
    fee_minor = models.BigIntegerField(default=0)
    reseller_fee_minor = models.BigIntegerField(default=0)

    provider_account_id = models.UUIDField(null=True)
    external_id = models.CharField(max_length=100, blank=True, help_text="The channel's own id.")
    source = models.CharField(max_length=100, blank=True, help_text="Token or saved method.")
    return_url = models.CharField(max_length=500, blank=True)
    statement_descriptor = models.CharField(max_length=22, blank=True)
    about = models.JSONField(
        default=dict, blank=True, help_text="What the provider receives besides the amount."
    )
    next_action_url = models.CharField(max_length=500, blank=True)
    action_left_at = models.DateTimeField(null=True, help_text="When the challenge was answered.")
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)
    card = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True, help_text="Facts for rules: kyc_verified …")

    # The status poller: when to look next, how often it looked, and since when a person should.
    next_check_at = models.DateTimeField(null=True)
    holder = models.BigIntegerField(
        null=True, help_text="The process that waits for the channel's answer."
    )
    checks = models.PositiveSmallIntegerField(default=0)
    told_at = models.DateTimeField(null=True, help_text="The provider's time of its newest event.")
    exception_at = models.DateTimeField(null=True)
    exceptions = models.JSONField(
        default=list, blank=True, help_text="Why a person had to look, and what they found."
    )
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0)
                & Q(settled_amount_minor__gte=0)
                & Q(settled_amount_minor__lte=F("amount_minor")),
                name="intent_amounts_in_range",
            ),
            models.CheckConstraint(
                condition=Q(state__in=IntentState.values), name="intent_state_known"
            ),
            # The target of composite foreign keys, so that no child names a foreign parent.
            models.UniqueConstraint(fields=["merchant_id", "id"], name="intent_of_merchant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["document_id"], name="intent_document"),
            # By merchant: the poller takes some of each, however many one has (`lock_objects`).
            models.Index(
                fields=["merchant_id", "next_check_at"],
                name="intent_to_check",
                condition=Q(next_check_at__isnull=False),
            ),
            # Staff paste the provider's id without its account.
            models.Index(
                fields=["external_id", "provider_account_id"],
                name="intent_external",
                condition=~Q(external_id=""),
            ),
            models.Index(fields=["merchant_id", "livemode", "-id"], name="intent_merchant_newest"),
            models.Index(
                fields=["exception_at"],
                name="intent_exceptions",
                condition=Q(exception_at__isnull=False),
            ),
        ]
