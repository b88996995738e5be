"""Accounts and transfers, as TigerBeetle defines them.

Only the SQL functions of the migrations write these rows; no scope's role has INSERT or UPDATE.
Columns are ordered widest first, since the ledger's storage is made of transfer rows.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from core import ids
from core.card_columns import Exempt
from core.models import Entity
from ledger.flags import AccountFlags, TransferFlags


class AccountCode(models.Model):
    """One line of the chart of accounts; filled from `ledger.chart` by migrations."""

    class Side(models.TextChoices):
        DEBIT = "debit"
        CREDIT = "credit"

    code = models.SmallIntegerField(primary_key=True)
    name = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=80)
    kind = models.CharField(max_length=10)
    normal_side = models.CharField(max_length=6, choices=Side.choices)
    flags = models.SmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.code} {self.title}"


class Account(models.Model):
    """An account of one ledger (one currency and mode).

    `merchant_id` and `reseller_id` say whose it is and thereby who sees it; `scope_id` names the
    tenant in whose requests it may be moved (a platform's fee account kept for one merchant is
    moved in that merchant's requests, yet not seen there).
    """

    CARD_NUMBERS: ClassVar = {
        "name": Exempt("made from ids by ledger.chart; written by ledger_open alone"),
    }

    PREFIX: ClassVar[str] = "acc"

    id = models.UUIDField(primary_key=True, editable=False)
    debits_pending = models.BigIntegerField(default=0)
    debits_posted = models.BigIntegerField(default=0)
    credits_pending = models.BigIntegerField(default=0)
    credits_posted = models.BigIntegerField(default=0)
    last_booked_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    ledger = models.IntegerField()
    code = models.SmallIntegerField()
    flags = models.SmallIntegerField()
    livemode = models.BooleanField()
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    scope_id = models.UUIDField(null=True)
    user_data = models.UUIDField(null=True)
    currency = models.CharField(max_length=5)
    name = models.CharField(max_length=200, unique=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "ledger"], name="ledger_account_merchant"),
            models.Index(fields=["reseller_id", "ledger"], name="ledger_account_reseller"),
            models.Index(fields=["ledger", "code"], name="ledger_account_chart"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def closed(self) -> bool:
        return bool(self.flags & AccountFlags.CLOSED)


class Transfer(models.Model):
    """A movement from one account's credit to another's debit; immutable, never deleted.

    `timestamp` increases strictly over the whole ledger, `booked_at` (when it was booked) strictly
    within each account; `effective_on` is the day it counts for, the booking day when null.
    The balances after it are kept for accounts with the `history` flag.
    """

    PREFIX: ClassVar[str] = "trf"

    id = models.UUIDField(primary_key=True, editable=False)
    debit_account = models.ForeignKey(
        Account, models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        Account, models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    amount = models.BigIntegerField(help_text="Minor units.")
    timestamp = models.BigIntegerField()
    booked_at = models.DateTimeField()
    ledger = models.IntegerField()
    code = models.SmallIntegerField()
    flags = models.SmallIntegerField()
    timeout_s = models.IntegerField(null=True)
    effective_on = models.DateField(null=True)
    pending = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="resolutions",
        db_constraint=False,
        db_index=False,
    )
    document_id = models.UUIDField(null=True)
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="corrections",
        db_constraint=False,
        db_index=False,
    )
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    debit_debits_pending = models.BigIntegerField(null=True)
    debit_debits_posted = models.BigIntegerField(null=True)
    debit_credits_pending = models.BigIntegerField(null=True)
    debit_credits_posted = models.BigIntegerField(null=True)
    credit_debits_pending = models.BigIntegerField(null=True)
    credit_debits_posted = models.BigIntegerField(null=True)
    credit_credits_pending = models.BigIntegerField(null=True)
    credit_credits_posted = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["debit_account", "booked_at"], name="ledger_transfer_debits"),
            models.Index(fields=["credit_account", "booked_at"], name="ledger_transfer_credits"),
            models.Index(
                fields=["document_id"],
                name="ledger_transfer_document",
                condition=Q(document_id__isnull=False),
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["pending"],
                name="ledger_transfer_resolved_once",
                condition=Q(pending__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def is_pending(self) -> bool:
        return bool(self.flags & TransferFlags.PENDING)


class FailedTransfer(models.Model):
    """An id that failed for a reason that may pass; it is refused for ever."""

    id = models.UUIDField(primary_key=True)
    status = models.SmallIntegerField()
    failed_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.id)


class PendingTimeout(models.Model):
    """A pending transfer that will expire; the sweeper removes the row once it is settled."""

    transfer_id = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.transfer_id)


class TransitCheck(models.Model):
    """A transit account that the open transaction moved; looked at and removed at its commit."""

    id = models.BigAutoField(primary_key=True)
    account_id = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return str(self.account_id)


class CheckpointBalance(models.Model):
    """An account's balances as recomputed from its transfers, up to the checkpoint."""

    account_id = models.UUIDField(primary_key=True)
    debits_pending = models.DecimalField(max_digits=30, decimal_places=0)
    debits_posted = models.DecimalField(max_digits=30, decimal_places=0)
    credits_pending = models.DecimalField(max_digits=30, decimal_places=0)
    credits_posted = models.DecimalField(max_digits=30, decimal_places=0)

    def __str__(self) -> str:
        return str(self.account_id)


class Checkpoint(models.Model):
    """How far the transfers have been summed up: one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    up_to = models.BigIntegerField(default=0, help_text="A transfer's timestamp.")
    full_since = models.DateTimeField(
        null=True, help_text="When a run over all transfers began that is not at its end yet."
    )

    def __str__(self) -> str:
        return str(self.up_to)


class IntegrityRun(models.Model):
    """One verification of the books against the journal."""

    CARD_NUMBERS: ClassVar = {
        "fault": Exempt("made of names, ids and sums, which may have as many digits"),
    }

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    full = models.BooleanField()
    since = models.BigIntegerField(
        default=0, db_default=0, help_text="Where the run began; transfers up to it were sampled."
    )
    up_to = models.BigIntegerField()
    transfers = models.BigIntegerField(help_text="Summed up in this run.")
    sampled = models.IntegerField(
        default=0, db_default=0, help_text="Older transfers that were looked at."
    )
    accounts = models.BigIntegerField()
    fault = models.CharField(max_length=500, blank=True, help_text="Empty when the books agree.")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} {self.fault or 'sound'}"

    @property
    def sound(self) -> bool:
        return not self.fault

    @property
    def coverage(self) -> str:
        """What the run looked at, in words that end a sentence."""
        if self.full:
            return "all transfers"
        if self.since == 0:
            return f"the transfers up to {self.up_to:,}, from the first on"
        return (
            f"the {self.transfers:,} transfers since checkpoint {self.since:,} and a random sample"
            f" of {self.sampled:,} older ones; only --full looks at all"
        )


class CorrectionProposal(Entity):
    """A manual correction: proposed by one person, booked when a second one confirms it."""

    PREFIX: ClassVar[str] = "cor"

    class State(models.TextChoices):
        PROPOSED = "proposed"
        BOOKED = "booked"
        REJECTED = "rejected"

    debit_account_id = models.UUIDField()
    credit_account_id = models.UUIDField()
    amount_minor = models.BigIntegerField()
    ledger = models.IntegerField()
    corrects_id = models.UUIDField(null=True)
    effective_on = models.DateField(null=True)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=64)
    decided_by = models.CharField(max_length=64, blank=True)
    decided_at = models.DateTimeField(null=True)
    transfer_id = models.UUIDField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="ledger_correction_two_people",
                condition=~Q(state="booked") | ~Q(decided_by=models.F("proposed_by")),
            ),
            models.CheckConstraint(
                name="ledger_correction_amount", condition=Q(amount_minor__gt=0)
            ),
            # What is corrected once is not corrected again: a wrong correction is itself corrected.
            models.UniqueConstraint(
                name="ledger_corrected_once",
                fields=["corrects_id"],
                condition=Q(corrects_id__isnull=False) & ~Q(state="rejected"),
            ),
        ]


class FxConversion(models.Model):
    """The rate at which two linked transfers of two ledgers were booked; never changed.

    Its id is the document of the transfers. `residual_minor` (nothing or one) is in units of what
    was bought; what the rounding leaves below that follows from the rate and the amounts.
    """

    PREFIX: ClassVar[str] = "fx"

    id = models.UUIDField(primary_key=True, editable=False)
    sold_minor = models.BigIntegerField()
    bought_minor = models.BigIntegerField()
    residual_minor = models.BigIntegerField()
    sold_ledger = models.IntegerField()
    bought_ledger = models.IntegerField()
    rate = models.DecimalField(
        max_digits=30, decimal_places=15, help_text="Major units bought for one major unit sold."
    )
    merchant_id = models.UUIDField(null=True)
    reseller_id = models.UUIDField(null=True)
    booked_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["merchant_id", "-id"], name="ledger_fx_merchant"),
            models.Index(fields=["reseller_id", "-id"], name="ledger_fx_reseller"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="ledger_fx_sound",
                condition=Q(
                    sold_minor__gt=0,
                    bought_minor__gt=0,
                    residual_minor__gte=0,
                    residual_minor__lte=1,
                    rate__gt=0,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    def terms(self) -> tuple[object, ...]:
        """What makes it this conversion and no other."""
        return (
            self.sold_ledger,
            self.bought_ledger,
            self.sold_minor,
            self.bought_minor,
            self.rate,
            self.merchant_id,
        )


class ClusterNote(models.Model):
    """What a TigerBeetle cluster does not hold of an account or transfer: names, dates, links.

    Written before the cluster is asked, confirmed after its answer; the cluster is the truth. One
    whose answer never came is asked for again for a week, since a request that timed out may still
    be booked.
    """

    CARD_NUMBERS: ClassVar = {
        "body": Exempt("names, ids and sums of accounts and transfers, made by us"),
    }

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(
        max_length=8, choices=[("account", "Account"), ("transfer", "Transfer")]
    )
    body = models.JSONField()
    noted_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True, help_text="When the sweeper last missed it.")

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["noted_at"],
                name="ledger_note_open",
                condition=Q(confirmed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
