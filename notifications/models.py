"""Customer webhooks: endpoints, deliveries and their attempts.

The events themselves are the outbox's rows, which are kept for 30 days. Deliveries and attempts
name them by id without a foreign key, and every index begins with a tenant, an endpoint or an
event, so that both tables can be partitioned by id (ids are time-ordered).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.card_columns import MASK, Exempt
from core.models import Entity, TenantOwned


class WebhookEndpoint(TenantOwned):
    """A merchant's address for events, in one mode."""

    CARD_NUMBERS: ClassVar = {
        "secret_sealed": Exempt("encrypted"),
        "previous_secret_sealed": Exempt("encrypted"),
    }

    PREFIX: ClassVar[str] = "we"
    UNRECORDED: ClassVar = {
        "failures_in_row": "counts deliveries",
        "failing_since": "counts deliveries",
        "last_success_at": "counts deliveries",
        "answers_slowly": "the lane that deliveries take",
        "tell_disabled_at": "a mail that is due",
    }

    class Status(models.TextChoices):
        ENABLED = "enabled"
        DISABLED = "disabled"

    class DisabledReason(models.TextChoices):
        NONE = "", "None"
        BY_USER = "by_user"
        GONE = "gone"
        FAILURES = "failures"

    url = models.CharField(max_length=2048)
    description = models.CharField(max_length=200, blank=True, default="")
    events = ArrayField(models.CharField(max_length=64))
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ENABLED)
    disabled_reason = models.CharField(
        max_length=10, choices=DisabledReason.choices, blank=True, default=""
    )
    disabled_at = models.DateTimeField(null=True)
    tell_disabled_at = models.DateTimeField(
        null=True, help_text="When the owners are due a mail; empty once it was sent."
    )
    deleted_at = models.DateTimeField(null=True)
    secret_sealed = models.TextField()
    previous_secret_sealed = models.TextField(blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True)
    failures_in_row = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    answers_slowly = models.BooleanField(
        default=False, db_default=False, help_text="Its last answer took a second or more."
    )

    class Meta:
        constraints: ClassVar = [
            # The target of a foreign key that has the tenant in it: no other tenant's row fits.
            models.UniqueConstraint(fields=["merchant_id", "id"], name="endpoint_of_merchant"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["merchant_id", "livemode"],
                name="endpoint_live",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["tell_disabled_at"],
                name="endpoint_to_tell",
                condition=models.Q(tell_disabled_at__isnull=False),
            ),
        ]

    def previous_secret_live(self, now: datetime) -> bool:
        """Whether the secret before the last rotation still signs."""
        return bool(
            self.previous_secret_sealed
            and self.previous_secret_until is not None
            and self.previous_secret_until > now
        )


class WebhookDelivery(TenantOwned):
    """One event on its way to one endpoint; `state` alone says whether it arrived."""

    CARD_NUMBERS: ClassVar = {
        "last_error": MASK,
    }

    PREFIX: ClassVar[str] = "whd"
    UNRECORDED: ClassVar[str] = "a log of its own; sending an event again is recorded on it"

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"
        CANCELED = "canceled"

    class Trigger(models.TextChoices):
        EVENT = "event"
        RESEND = "resend"
        REPLAY = "replay"

    endpoint_id = models.UUIDField()
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=64)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.EVENT)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    holder = models.BigIntegerField(null=True, help_text="The process that sends it now.")
    delivered_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            # The relay may hand over an event twice; it is delivered once for each endpoint.
            models.UniqueConstraint(
                fields=["event_id", "endpoint_id"],
                name="delivery_once_per_event",
                condition=models.Q(trigger="event"),
            ),
            models.CheckConstraint(
                name="delivery_pending_is_due",
                condition=models.Q(state="pending", next_attempt_at__isnull=False)
                | (~models.Q(state="pending") & models.Q(next_attempt_at__isnull=True)),
            ),
        ]
        indexes: ClassVar = [
            # By endpoint: a sender reads a few of each, however many one has (`lock_objects`).
            models.Index(
                fields=["merchant_id", "endpoint_id", "next_attempt_at"],
                name="delivery_due",
                condition=models.Q(state="pending"),
            ),
            models.Index(
                fields=["holder"], name="delivery_held", condition=models.Q(holder__isnull=False)
            ),
            models.Index(fields=["endpoint_id", "-id"], name="delivery_endpoint_newest"),
            models.Index(
                fields=["merchant_id", "livemode", "-id"], name="delivery_merchant_newest"
            ),
            models.Index(fields=["event_id"], name="delivery_event"),
            # The few that did not arrive, among the many that did.
            models.Index(
                fields=["merchant_id", "livemode", "state", "-id"],
                name="delivery_merchant_state",
                condition=~models.Q(state="delivered"),
            ),
            models.Index(
                fields=["endpoint_id", "state", "-id"],
                name="delivery_endpoint_state",
                condition=~models.Q(state="delivered"),
            ),
        ]


class WebhookAttempt(Entity):
    """One HTTP exchange of a delivery: what came back, and how long it took."""

    CARD_NUMBERS: ClassVar = {
        "error": MASK,
        "response_excerpt": MASK,
    }

    PREFIX: ClassVar[str] = "wha"
    UNRECORDED: ClassVar[str] = "a log of its own"

    merchant_id = models.UUIDField()
    reseller_id = models.UUIDField()
    delivery_id = models.UUIDField()
    number = models.PositiveSmallIntegerField()
    duration_ms = models.PositiveIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")
    response_excerpt = models.CharField(max_length=1000, blank=True, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["delivery_id", "number"], name="attempt_delivery"),
        ]
