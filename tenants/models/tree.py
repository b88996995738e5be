"""The tree of tenants: a platform signs up resellers, a reseller signs up merchants."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models

from core.models import Entity, Tenancy

BASIS_POINTS = 10_000


class TenantStatus(models.TextChoices):
    """What a tenant may do: only an active one takes live payments."""

    PENDING = "pending", "Pending"
    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    CLOSED = "closed", "Closed"


#: Which status may follow which; every change goes through this table.
TENANT_MOVES: Final[dict[str, frozenset[TenantStatus]]] = {
    TenantStatus.PENDING: frozenset({TenantStatus.ACTIVE, TenantStatus.CLOSED}),
    TenantStatus.ACTIVE: frozenset({TenantStatus.SUSPENDED, TenantStatus.CLOSED}),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE, TenantStatus.CLOSED}),
    TenantStatus.CLOSED: frozenset(),
}


class Platform(Entity):
    """The operator of this installation; resellers belong to it."""

    PREFIX: ClassVar[str] = "plt"

    name = models.CharField(max_length=120)

    def __str__(self) -> str:
        return self.name


class Reseller(Entity):
    """A partner that signs up merchants and earns a share of their fees."""

    PREFIX: ClassVar[str] = "res"

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="resellers")
    name = models.CharField(max_length=120)
    legal_name = models.CharField(max_length=200, blank=True, default="")
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    status = models.CharField(
        max_length=12, choices=TenantStatus.choices, default=TenantStatus.ACTIVE
    )
    support_email = models.EmailField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=TenantStatus.values),
                name="tenants_reseller_status_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this reseller carry."""
        return Tenancy(reseller_id=self.id)


class Merchant(Entity):
    """A business that takes payments.

    Fees are charged on every captured payment: ``fee_bps`` hundredths of a percent of the captured
    amount plus ``fee_fixed_minor`` (minor units of ``default_currency``; the fixed part applies
    only to payments in that currency). ``reseller_share_bps`` of the resulting fee belongs to the
    reseller, the rest to the platform.
    """

    PREFIX: ClassVar[str] = "mer"

    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="merchants")
    name = models.CharField(max_length=120)
    legal_name = models.CharField(max_length=200, blank=True, default="")
    status = models.CharField(
        max_length=12, choices=TenantStatus.choices, default=TenantStatus.PENDING
    )
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    default_currency = models.CharField(max_length=5, help_text="ISO 4217 code.")
    statement_descriptor = models.CharField(
        max_length=22,
        blank=True,
        default="",
        help_text="What a payer reads on the card statement: 5 to 22 Latin characters.",
    )
    support_email = models.EmailField(blank=True, default="")
    website = models.URLField(blank=True, default="")
    fee_bps = models.PositiveIntegerField(default=290)
    fee_fixed_minor = models.BigIntegerField(default=0)
    reseller_share_bps = models.PositiveIntegerField(default=2_000)

    class Meta:
        permissions = [("act_for_merchant", "May act for this merchant (a reseller's agent)")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=TenantStatus.values),
                name="tenants_merchant_status_known",
            ),
            models.CheckConstraint(
                condition=models.Q(fee_bps__lte=BASIS_POINTS)
                & models.Q(fee_fixed_minor__gte=0)
                & models.Q(reseller_share_bps__lte=BASIS_POINTS),
                name="tenants_merchant_fees_in_range",
            ),
            # The target of composite foreign keys: a child of a merchant names its reseller too.
            models.UniqueConstraint(fields=["id", "reseller"], name="tenants_merchant_id_reseller"),
        ]
        indexes = [
            models.Index(fields=["reseller", "-created_at"], name="tenants_merchant_by_reseller")
        ]

    def __str__(self) -> str:
        return self.name

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this merchant carry."""
        return Tenancy(self.id, self.reseller_id)
