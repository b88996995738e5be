"""Accounts at providers, and the table that decides which of them takes a payment."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from core.card_columns import MASK, Exempt
from core.crypto import PLATFORM_TENANT
from core.models import Entity, Tenancy
from payments.providers.adapters.sandbox.models import (
    ChargeState,
    SandboxCharge,
    SandboxEvent,
    SandboxOperation,
    SandboxRefund,
    SandboxSource,
)

__all__ = [
    "ChargeState",
    "Operation",
    "ProviderAccount",
    "ProviderHealth",
    "RoutingRule",
    "SandboxCharge",
    "SandboxEvent",
    "SandboxOperation",
    "SandboxRefund",
    "SandboxSource",
]


class Operation(models.TextChoices):
    """What a rule routes. Captures and refunds go where their payment went."""

    PAYMENT = "payment", "Payment"


class ProviderAccount(Entity):
    """Credentials at a provider: the platform's own (no merchant) or one merchant's.

    ``credentials`` (an object) and ``webhook_secrets`` (a list, newest first, so that a secret can
    be rotated without losing an event) are JSON sealed by `core.crypto` under the key of
    ``key_tenant_id`` (the merchant, or the platform), or empty.
    """

    CARD_NUMBERS: ClassVar = {
        "credentials": Exempt("encrypted"),
        "webhook_secrets": Exempt("encrypted"),
    }

    PREFIX: ClassVar[str] = "pra"

    provider = models.CharField(max_length=32)
    label = models.CharField(max_length=120)
    livemode = models.BooleanField()
    merchant_id = models.UUIDField(null=True, blank=True)
    reseller_id = models.UUIDField(null=True, blank=True)
    api_base = models.URLField(
        max_length=300, blank=True, default="", help_text="Empty: the provider's own address."
    )
    timeout_s = models.PositiveSmallIntegerField(default=20)
    key_tenant_id = models.UUIDField(default=PLATFORM_TENANT)
    credentials = models.TextField(blank=True, default="")
    webhook_secrets = models.TextField(blank=True, default="")
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(provider="sandbox") | Q(livemode=False),
                name="provideraccount_sandbox_is_test",
            ),
            models.CheckConstraint(
                condition=Q(merchant_id__isnull=True, reseller_id__isnull=True)
                | Q(merchant_id__isnull=False, reseller_id__isnull=False),
                name="provideraccount_tenant_whole",
            ),
            models.CheckConstraint(
                condition=Q(merchant_id__isnull=True, key_tenant_id=PLATFORM_TENANT)
                | Q(merchant_id=F("key_tenant_id")),
                name="provideraccount_key_is_tenants",
            ),
            models.CheckConstraint(
                condition=Q(timeout_s__gte=1, timeout_s__lte=80),
                name="provideraccount_timeout_sane",
            ),
        ]
        indexes = [models.Index(fields=["merchant_id"], name="provideraccount_merchant")]

    def __str__(self) -> str:
        return f"{self.label} ({self.provider}, {'live' if self.livemode else 'test'})"

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this account carry."""
        return Tenancy(self.merchant_id, self.reseller_id, self.livemode)


class RoutingRule(Entity):
    """One line of the routing table; the first that fits decides.

    Order: a merchant's own rules before the platform's, then ``priority`` ascending, then age.
    Empty ``currencies`` fit every currency; bounds are inclusive and in minor units of the
    payment's currency.
    """

    PREFIX: ClassVar[str] = "rtr"

    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="rules")
    merchant_id = models.UUIDField(null=True, blank=True)
    reseller_id = models.UUIDField(null=True, blank=True)
    operation = models.CharField(
        max_length=20, choices=Operation.choices, default=Operation.PAYMENT
    )
    currencies = ArrayField(models.CharField(max_length=5), default=list, blank=True)
    min_amount_minor = models.BigIntegerField(null=True, blank=True)
    max_amount_minor = models.BigIntegerField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(default=100)
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(operation__in=Operation.values), name="routingrule_operation_known"
            ),
            models.CheckConstraint(
                condition=Q(min_amount_minor__isnull=True)
                | Q(max_amount_minor__isnull=True)
                | Q(min_amount_minor__lte=F("max_amount_minor")),
                name="routingrule_bounds_ordered",
            ),
        ]
        indexes = [models.Index(fields=["merchant_id"], name="routingrule_merchant")]

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this rule carry."""
        return Tenancy(self.merchant_id, self.reseller_id, self.account.livemode)


class ProviderHealth(Entity):
    """The last look at an account. Three failures in a row and routing prefers another account."""

    CARD_NUMBERS: ClassVar = {
        "message": MASK,
    }

    PREFIX: ClassVar[str] = "prh"
    UNRECORDED: ClassVar[str] = "a measurement, taken every minute"

    account = models.OneToOneField(ProviderAccount, on_delete=models.CASCADE, related_name="health")
    checked_at = models.DateTimeField()
    ok = models.BooleanField()
    latency_ms = models.PositiveIntegerField()
    message = models.CharField(max_length=300, blank=True, default="")
    failures_in_a_row = models.PositiveSmallIntegerField(default=0)
