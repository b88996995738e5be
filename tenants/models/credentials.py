"""What programs authenticate with."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.card_columns import Exempt
from core.models import Entity, Tenancy, TenantOwned
from tenants.models.people import User


class KeyKind(models.TextChoices):
    """Secret keys do all, restricted ones what their scopes name, publishable ones tokenise."""

    SECRET = "sk", "Secret"
    RESTRICTED = "rk", "Restricted"
    PUBLISHABLE = "pk", "Publishable"


class ApiKey(TenantOwned):
    """An API key of a merchant; only the keyed digest of its text is stored.

    ``publishable_text`` keeps the whole text of a publishable key, which is no secret and must be
    readable again in the portal; it is empty for every other kind.
    """

    CARD_NUMBERS: ClassVar = {
        "digest": Exempt("a digest"),
        "publishable_text": Exempt("a key, made by us"),
        "ip_allowlist": Exempt("addresses and networks, parsed as such"),
    }

    PREFIX: ClassVar[str] = "key"

    kind = models.CharField(max_length=2, choices=KeyKind.choices)
    name = models.CharField(max_length=120)
    lookup_id = models.CharField(max_length=8, unique=True)
    digest = models.BinaryField(max_length=32)
    pepper_version = models.PositiveSmallIntegerField()
    hint = models.CharField(max_length=4, help_text="The last four characters.")
    publishable_text = models.CharField(max_length=80, blank=True, default="")
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    ip_allowlist = ArrayField(models.CharField(max_length=43), default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    replaced_by_id = models.UUIDField(null=True, blank=True)
    created_by = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["merchant_id", "livemode", "-id"], name="tenants_apikey_newest")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=KeyKind.values), name="tenants_apikey_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(publishable_text="") | models.Q(kind=KeyKind.PUBLISHABLE),
                name="tenants_apikey_only_publishable_readable",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} …{self.hint}"


class MachineClient(TenantOwned):
    """A program that trades id and secret for short-lived tokens (RFC 6749, 4.4)."""

    CARD_NUMBERS: ClassVar = {
        "digest": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "mcl"

    name = models.CharField(max_length=120)
    client_id = models.CharField(max_length=40, unique=True)
    digest = models.BinaryField(max_length=32)
    pepper_version = models.PositiveSmallIntegerField()
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["merchant_id", "livemode", "-id"], name="tenants_machine_newest")
        ]

    def __str__(self) -> str:
        return self.name


class ServiceCaller(Entity):
    """A trusted service that signs its requests with HMAC (``POST /v1/intents``).

    With ``merchant_id`` set it may act for that merchant only. The secret is encrypted, not
    digested: checking a signature needs its bytes.
    """

    CARD_NUMBERS: ClassVar = {
        "secret_sealed": Exempt("encrypted"),
    }

    PREFIX: ClassVar[str] = "svc"

    name = models.CharField(max_length=120)
    key_id = models.CharField(max_length=40, unique=True)
    secret_sealed = models.TextField()
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    merchant_id = models.UUIDField(null=True, blank=True)
    reseller_id = models.UUIDField(null=True, blank=True)
    livemode = models.BooleanField(default=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this caller carry."""
        return Tenancy(self.merchant_id, self.reseller_id, self.livemode)


class RefreshToken(Entity):
    """One link of a chain of refresh tokens; using a link twice revokes the whole family."""

    CARD_NUMBERS: ClassVar = {
        "token_digest": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "rft"
    UNRECORDED: ClassVar[str] = "a link of a login, which is recorded on the person"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_tokens")
    # A plain id: a membership may be taken away while tokens name it, and that ends them.
    membership_id = models.UUIDField()
    merchant_id = models.UUIDField(null=True, blank=True)
    livemode = models.BooleanField(default=False)
    second_factor = models.BooleanField(default=False)
    family = models.UUIDField(db_index=True)
    token_digest = models.BinaryField(max_length=32, unique=True)
    pepper_version = models.PositiveSmallIntegerField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.public_id
