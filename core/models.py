"""Base classes of every table, and the kernel's own tables."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from django.db import models
from django.utils import timezone

from core import ids
from core.card_columns import MASK, Exempt


class Tenancy(NamedTuple):
    """Which tenant and mode a row belongs to; None where it has none of its own."""

    merchant_id: uuid.UUID | None = None
    reseller_id: uuid.UUID | None = None
    livemode: bool | None = None


class Entity(models.Model):
    """A row with a time-ordered id whose public form carries a prefix (`pay_01k…`).

    A change of it is recorded (`core.unit.Writes.record`), unless `UNRECORDED` says why not: a
    sentence for the whole table, or one for each column whose change alone needs no record.
    """

    PREFIX: ClassVar[str] = "obj"
    UNRECORDED: ClassVar[str | Mapping[str, str]] = ""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this row carry."""
        return Tenancy()


class TenantOwned(Entity):
    """A row of a merchant's. Both tenant ids stand on the row, so that a policy needs no join."""

    reseller_id = models.UUIDField()
    merchant_id = models.UUIDField()
    livemode = models.BooleanField(default=False)

    class Meta:
        abstract = True

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this row carry."""
        return Tenancy(self.merchant_id, self.reseller_id, self.livemode)


class AuditRecord(models.Model):
    """One action of one actor. Append-only; chained by hash per tenant once committed.

    Actors and tenants are plain values, never foreign keys: a record outlives what it names.
    `sequence`, `previous_hash`, `hash` and `key_version` are filled once by the sealer (ADR 0010).
    """

    CARD_NUMBERS: ClassVar = {
        "actor_id": MASK,
        "actor_label": MASK,
        "request_id": MASK,
        "action": MASK,
        "target": MASK,
        "before": MASK,
        "after": MASK,
        "previous_hash": Exempt("a digest"),
        "hash": Exempt("a digest"),
    }

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    livemode = models.BooleanField(default=False)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200, blank=True)
    ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=64)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    sequence = models.BigIntegerField(null=True)
    previous_hash = models.BinaryField(null=True)
    hash = models.BinaryField(null=True)
    key_version = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text="Of the key provider's key; empty for records sealed before there was one.",
    )
    sealed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "-created_at"], name="audit_merchant_time"),
            models.Index(fields=["target", "-created_at"], name="audit_target_time"),
            # What a person did; keys and workers, who do most, are not asked for.
            models.Index(
                fields=["actor_id", "-id"],
                name="audit_person",
                condition=models.Q(actor_kind="user"),
            ),
            models.Index(
                fields=["id"], name="audit_unsealed", condition=models.Q(sealed_at__isnull=True)
            ),
        ]


class OutboxEvent(models.Model):
    """An event that commits with the state it describes; the relay delivers it afterwards.

    `object_id` is what it is about, `aggregate` whose events must arrive in order: a refund's are
    those of its payment. `payload` is the object's public JSON at that moment. Of a customer it
    holds name and e-mail address, until the customer is deleted (`core.unit.Writes.forget`).
    """

    CARD_NUMBERS: ClassVar = {
        "payload": MASK,
        "last_error": MASK,
        "request_id": MASK,
    }

    PREFIX: ClassVar[str] = "evt"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    livemode = models.BooleanField(default=False)
    type = models.CharField(max_length=64)
    aggregate = models.CharField(
        max_length=64, help_text="Public id of the object whose events arrive in order."
    )
    object_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Public id of the object it is about.",
    )
    request_id = models.CharField(max_length=64, blank=True)
    payload = models.JSONField()
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    holder = models.BigIntegerField(null=True)
    delivered_at = models.DateTimeField(null=True)
    quarantined_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes: ClassVar = [
            # By tenant: the relay finds some of each, however many one has (relay._CLAIM).
            models.Index(
                fields=["merchant_id", "id"],
                name="outbox_open",
                condition=models.Q(delivered_at__isnull=True, quarantined_at__isnull=True),
            ),
            models.Index(fields=["merchant_id", "livemode", "-id"], name="outbox_merchant_newest"),
            models.Index(fields=["aggregate", "id"], name="outbox_aggregate"),
            models.Index(fields=["object_id", "id"], name="outbox_object"),
        ]

    @property
    def public_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    def tenancy(self) -> Tenancy:
        """What the audit records about this event carry."""
        return Tenancy(self.merchant_id, self.reseller_id, self.livemode)


class InboxMessage(models.Model):
    """A provider's webhook, stored as it came before its contents are trusted."""

    CARD_NUMBERS: ClassVar = {
        "event_id": Exempt("the provider's; core.inbox.receive digests one that holds a number"),
        "event_type": MASK,
        "reference": MASK,
        "raw": MASK,
        "headers": MASK,
        "last_error": MASK,
        "request_id": MASK,
    }

    class State(models.TextChoices):
        RECEIVED = "received"
        PROCESSED = "processed"
        PARKED = "parked"
        FAILED = "failed"
        QUARANTINED = "quarantined"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    provider = models.CharField(max_length=32)
    account_id = models.UUIDField()
    lane_id = models.UUIDField(help_text="Who takes turns: the merchant, or the account.")
    event_id = models.CharField(max_length=255)
    event_type = models.CharField(max_length=100, blank=True)
    reference = models.CharField(max_length=100, blank=True, help_text="Our reference in it.")
    raw = models.BinaryField()
    headers = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    holder = models.BigIntegerField(null=True, help_text="The process that works on it.")
    processed_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                # The event first: staff paste it alone.
                fields=["event_id", "provider", "account_id"],
                name="inbox_once_per_event",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at"],
                name="inbox_open",
                condition=models.Q(state__in=["received", "failed", "parked"]),
            ),
            # Lane by lane: the next one's oldest, however many another lane has.
            models.Index(
                "lane_id",
                models.F("next_attempt_at").asc(nulls_first=True),
                "id",
                name="inbox_lanes",
                condition=models.Q(state__in=["received", "failed", "parked"]),
            ),
            models.Index(
                fields=["holder"], name="inbox_held", condition=models.Q(holder__isnull=False)
            ),
            # For what is parked until its object appears, and for staff.
            models.Index(fields=["reference", "state"], name="inbox_reference"),
        ]

    @property
    def public_id(self) -> str:
        return str(self.id)

    def tenancy(self) -> Tenancy:
        """None: a message is the platform's until it is matched to an object."""
        return Tenancy()


class IdempotencyRecord(models.Model):
    """The one answer to an Idempotency-Key, kept for 30 days.

    `owner` names who may use the key: a merchant and mode, or a service caller. A row without
    `status` is in flight for as long as its holder lives (`core.liveness`), until `locked_until` at
    most; `resource_id` then says what it was making, so that a retry after a crash finds the object
    instead of making another. An answer without `body` was emptied with the personal data that it
    held.
    """

    CARD_NUMBERS: ClassVar = {
        "key": Exempt("core.idempotency.check_key refuses it, but for random keys in hexadecimal"),
        "fingerprint": Exempt("a digest"),
        "body": MASK,
    }

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    owner = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    resource_id = models.UUIDField(null=True)
    holder = models.BigIntegerField(null=True)
    locked_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="idempotency_age"),
            models.Index(fields=["resource_id"], name="idempotency_resource"),
        ]


class UsedNonce(models.Model):
    """A nonce of an HMAC-signed request; the primary key refuses its second use."""

    CARD_NUMBERS: ClassVar = {
        "nonce": Exempt("core.hmac_auth.use_nonce digests one that reads like a number"),
    }

    id = models.BigAutoField(primary_key=True)
    key_id = models.CharField(max_length=64)
    nonce = models.CharField(max_length=64)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key_id", "nonce"], name="nonce_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["seen_at"], name="nonce_age")]


class RequestLog(models.Model):
    """What an integrator sees of its own API calls: no bodies of cards, no secrets."""

    CARD_NUMBERS: ClassVar = {
        "request_id": MASK,
        "path": MASK,
        "actor_id": MASK,
        "error_code": MASK,
        "idempotency_key": MASK,
    }

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    livemode = models.BooleanField(default=False)
    request_id = models.CharField(max_length=64)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=300)
    status = models.PositiveSmallIntegerField()
    duration_ms = models.PositiveIntegerField()
    actor_id = models.CharField(max_length=64, blank=True)
    ip = models.GenericIPAddressField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["merchant_id", "livemode", "-id"], name="requestlog_merchant_newest"
            ),
        ]


class AuditChain(models.Model):
    """The head of one tenant's audit chain: how long it is and where it ends, signed.

    Records before `keyed_from` were sealed before the chain had a key.
    """

    CARD_NUMBERS: ClassVar = {
        "hash": Exempt("a digest"),
        "signature": Exempt("a digest"),
    }

    tenant_id = models.UUIDField(primary_key=True)
    sequence = models.BigIntegerField()
    hash = models.BinaryField()
    keyed_from = models.BigIntegerField(default=1, db_default=1)
    key_version = models.CharField(max_length=16, blank=True, default="", db_default="")
    signature = models.BinaryField(null=True)
    sealed_at = models.DateTimeField()


class DataKey(models.Model):
    """A tenant's data key, wrapped by the key provider; useless without the provider's own key."""

    CARD_NUMBERS: ClassVar = {
        "wrapped": Exempt("encrypted"),
    }

    class Purpose(models.TextChoices):
        DATA = "data"
        INDEX = "index"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    tenant_id = models.UUIDField()
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    version = models.PositiveIntegerField()
    wrapped = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "purpose", "version"], name="datakey_version_once"
            ),
        ]


class AttemptThrottle(models.Model):
    """A counter of attempts that closes for longer each time; see `core.attempts`."""

    CARD_NUMBERS: ClassVar = {
        "subject": Exempt("a digest"),
    }

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=64, help_text="SHA-256 of whom it counts.")
    level = models.PositiveIntegerField(help_text="Attempts that are not forgiven yet.")
    counted_at = models.DateTimeField()
    free_at = models.DateTimeField(help_text="Until then every attempt is refused.")
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "subject"], name="throttle_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="throttle_age")]
