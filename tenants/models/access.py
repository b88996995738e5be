"""Where people log in from, the links that prove who they are, changes that need two persons."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.card_columns import Exempt
from core.models import Entity
from tenants.models.people import Role, User
from tenants.models.tree import Merchant, Reseller, TenantStatus


class KnownPlace(Entity):
    """A network or a browser from which an account has logged in; stored as a digest.

    Guesses from elsewhere never slow a login from here (`tenants.services.login_guard`).
    """

    PREFIX: ClassVar[str] = "kpl"
    UNRECORDED: ClassVar[str] = "kept by logins, which are recorded on the person"
    CARD_NUMBERS: ClassVar = {"digest": Exempt("a digest, made by us")}

    class Kind(models.TextChoices):
        NETWORK = "network", "Network"
        DEVICE = "device", "Browser"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="known_places")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    digest = models.BinaryField(max_length=32)
    seen_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "digest"], name="tenants_knownplace_once"
            ),
        ]


class SignInLink(Entity):
    """A mailed link that makes the browser in which it is opened a known place; used once."""

    PREFIX: ClassVar[str] = "sil"
    UNRECORDED: ClassVar[str] = "its request and its use are recorded on the person"
    CARD_NUMBERS: ClassVar = {"token_digest": Exempt("a digest, made by us")}

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    token_digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)


class PasswordReset(Entity):
    """A mailed reset link; the function that sets the password uses the row up.

    Workers, which mail the link, write the row; the login neither reads nor writes it. So SQL
    injected into the web process creates no valid link.
    """

    PREFIX: ClassVar[str] = "pwr"
    UNRECORDED: ClassVar[str] = "its request and its use are recorded on the person"
    CARD_NUMBERS: ClassVar = {"token_digest": Exempt("a digest, made by us")}

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="password_resets")
    token_digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()


class PersonChange(Entity):
    """A change to a person that a second person has to confirm (`tenants.policies.PEOPLE`)."""

    PREFIX: ClassVar[str] = "pch"
    UNRECORDED: ClassVar[str] = "recorded on the person whom it changes"

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        REJECTED = "rejected", "Rejected"

    class Action(models.TextChoices):
        DEACTIVATE = "deactivate", "Deactivate"
        ACTIVATE = "activate", "Activate"
        RESET_SECOND_FACTOR = "reset_second_factor", "Reset second factor"
        CHANGE_ROLE = "change_role", "Change role"

    action = models.CharField(max_length=20, choices=Action.choices)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="proposed_changes")
    # A plain id: the membership may be taken away while the proposal waits, and that ends it.
    membership_id = models.UUIDField(null=True, blank=True)
    new_role = models.CharField(max_length=10, choices=Role.choices, blank=True, default="")
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = "change to a person"
        verbose_name_plural = "changes to people"
        constraints = [
            # The database refuses the same person twice, whatever a service does.
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True)
                | ~models.Q(state="confirmed")
                | (
                    ~models.Q(decided_by=models.F("proposed_by"))
                    & ~models.Q(decided_by=models.F("user"))
                ),
                name="tenants_personchange_two_persons",
            ),
            models.CheckConstraint(
                condition=~models.Q(proposed_by=models.F("user")),
                name="tenants_personchange_not_oneself",
            ),
            models.CheckConstraint(
                condition=models.Q(state="proposed", decided_by__isnull=True)
                | models.Q(state__in=("confirmed", "rejected"), decided_by__isnull=False),
                name="tenants_personchange_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.user.email}"


class TenantChange(Entity):
    """A status of a merchant or reseller that a second person has to confirm.

    `tenants.policies.TENANT_STATUS` says which.
    """

    PREFIX: ClassVar[str] = "tch"
    UNRECORDED: ClassVar[str] = "recorded on the tenant that it changes"

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        REJECTED = "rejected", "Rejected"

    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, blank=True)
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, null=True, blank=True)
    status = models.CharField(max_length=12, choices=TenantStatus.choices)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = "change to a tenant"
        verbose_name_plural = "changes to tenants"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(merchant__isnull=True) ^ models.Q(reseller__isnull=True),
                name="tenants_tenantchange_one_tenant",
            ),
            # The database refuses the same person twice, whatever a service does.
            models.CheckConstraint(
                condition=~models.Q(state="confirmed")
                | ~models.Q(decided_by=models.F("proposed_by")),
                name="tenants_tenantchange_two_persons",
            ),
            models.CheckConstraint(
                condition=models.Q(state="proposed", decided_by__isnull=True)
                | models.Q(state__in=("confirmed", "rejected"), decided_by__isnull=False),
                name="tenants_tenantchange_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}: {self.status}"

    @property
    def tenant(self) -> Merchant | Reseller:
        """The merchant or reseller that changes."""
        found = self.merchant or self.reseller
        assert found is not None
        return found
