"""People, their memberships in tenants, and their second factors."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django_otp.models import Device
from guardian.models import UserObjectPermissionBase

from core.card_columns import Exempt
from core.models import Entity, Tenancy
from tenants.models.tree import Merchant, Platform, Reseller


def normalise_email(email: str) -> str:
    """The one spelling under which an address is stored and looked up (NFKC, lower case)."""
    return unicodedata.normalize("NFKC", email).strip().lower()


class UserManager(BaseUserManager["User"]):
    """Looks people up by e-mail address, whatever its case."""

    def get_queryset(self) -> models.QuerySet[User]:
        """People without the hashes of their passwords, which no role may read from the table."""
        return super().get_queryset().defer("password")

    def get_by_natural_key(self, username: str | None) -> User:
        """The user with this e-mail address; raises ``User.DoesNotExist``."""
        return self.get(email=normalise_email(username or ""))

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Refuse: no account is above the roles, and one without a membership opens nothing."""
        raise NotImplementedError("Invite staff with: manage.py create_platform --email ADDRESS")


class User(Entity, AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an e-mail address; what they may do follows from memberships."""

    CARD_NUMBERS: ClassVar = {
        "password": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "usr"
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(
        default=False, help_text="Platform staff: may open the admin, with a second factor."
    )

    #: Changes with the password. Sessions, reset links and logins under way are bound to it, so
    #: that none of them needs the hash.
    login_stamp = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), editable=False)

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        # Rows reached through a foreign key leave the hash out too.
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")),
                name="tenants_user_email_lower",
            ),
        ]

    if TYPE_CHECKING:

        def is_verified(self) -> bool:
            """Whether this session passed the second factor; set by django_otp's middleware."""

    def __str__(self) -> str:
        return self.email

    def set_password(self, raw_password: str | None) -> None:
        """Hash a new password; whatever is bound to the old one ends when it is stored."""
        super().set_password(raw_password)
        self.login_stamp = uuid.uuid4()

    def has_usable_password(self) -> bool:
        """True: everyone has a password. The admin's pages ask, which may not read the hash."""
        return True

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session is bound to: Django's own takes the hash of the password."""
        return salted_hmac(
            "tenants.User.session", self.login_stamp.hex, secret=secret, algorithm="sha256"
        ).hexdigest()

    def get_full_name(self) -> str:
        """The name, or the e-mail address of a person who gave none."""
        return self.name or self.email


class Level(models.TextChoices):
    """The level of the tree that a membership is on."""

    PLATFORM = "platform", "Platform"
    RESELLER = "reseller", "Reseller"
    MERCHANT = "merchant", "Merchant"


class Role(models.TextChoices):
    """Four roles for resellers and merchants, three for the platform."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    VIEWER = "viewer", "Viewer"
    COMPLIANCE = "compliance", "Compliance"
    FINANCE = "finance", "Finance"
    SUPPORT = "support", "Support"


TENANT_ROLES = (Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.VIEWER)
PLATFORM_ROLES = (Role.COMPLIANCE, Role.FINANCE, Role.SUPPORT)


def _role_fits_level() -> models.Q:
    """Platform roles on the platform level, the four tenant roles below it."""
    return models.Q(level=Level.PLATFORM, role__in=PLATFORM_ROLES) | models.Q(
        level__in=(Level.RESELLER, Level.MERCHANT), role__in=TENANT_ROLES
    )


def _tenant_fits_level() -> models.Q:
    """A merchant membership names its reseller too, so that the reseller's policy finds it."""
    return (
        models.Q(
            level=Level.PLATFORM,
            platform__isnull=False,
            reseller__isnull=True,
            merchant__isnull=True,
        )
        | models.Q(
            level=Level.RESELLER,
            platform__isnull=True,
            reseller__isnull=False,
            merchant__isnull=True,
        )
        | models.Q(
            level=Level.MERCHANT,
            platform__isnull=True,
            reseller__isnull=False,
            merchant__isnull=False,
        )
    )


class Membership(Entity):
    """One person's role in one tenant.

    ``only_granted`` marks a reseller's agent: such a membership opens no reseller scope, only the
    single merchants that were granted to the person (django-guardian, behind ``policies.py``).
    """

    PREFIX: ClassVar[str] = "mem"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    level = models.CharField(max_length=8, choices=Level.choices)
    role = models.CharField(max_length=10, choices=Role.choices)
    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, null=True, blank=True)
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, null=True, blank=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, blank=True)
    only_granted = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=_role_fits_level(), name="tenants_membership_role"),
            models.CheckConstraint(
                condition=_tenant_fits_level(), name="tenants_membership_tenant"
            ),
            models.CheckConstraint(
                condition=models.Q(only_granted=False) | models.Q(level=Level.RESELLER),
                name="tenants_membership_agent_of_reseller",
            ),
            models.UniqueConstraint(
                fields=["user", "platform", "reseller", "merchant"],
                nulls_distinct=False,
                name="tenants_membership_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} ({self.level})"

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this membership carry."""
        return Tenancy(self.merchant_id, self.reseller_id)


class MerchantGrant(UserObjectPermissionBase):
    """A single merchant granted to a reseller's agent (django-guardian's direct-key table).

    Written and read only through ``tenants/policies.py`` and ``tenants/services``.
    """

    content_object = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="grants")

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False


class Invitation(Entity):
    """An offer of a membership, sent by e-mail; the link's token is stored only as a digest."""

    CARD_NUMBERS: ClassVar = {
        "token_digest": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "inv"

    email = models.EmailField()
    level = models.CharField(max_length=8, choices=Level.choices)
    role = models.CharField(max_length=10, choices=Role.choices)
    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, null=True, blank=True)
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, null=True, blank=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, null=True, blank=True)
    token_digest = models.BinaryField(max_length=32, unique=True)
    pepper_version = models.PositiveSmallIntegerField()
    invited_by_id = models.UUIDField(null=True, blank=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=_role_fits_level(), name="tenants_invitation_role"),
            models.CheckConstraint(
                condition=_tenant_fits_level(), name="tenants_invitation_tenant"
            ),
            # One open offer per address and tenant: a second one replaces the first.
            models.UniqueConstraint(
                fields=["email", "platform", "reseller", "merchant"],
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
                nulls_distinct=False,
                name="tenants_invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"

    def state(self, now: datetime) -> str:
        """``sent``, ``expired``, ``accepted`` or ``withdrawn``; only a sent one can be accepted."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "withdrawn"
        return "sent" if self.expires_at > now else "expired"

    def tenancy(self) -> Tenancy:
        """What the audit records and events about this invitation carry."""
        return Tenancy(self.merchant_id, self.reseller_id)


class TotpDevice(Device):
    """A person's authenticator app (RFC 6238: SHA-1, 30 s steps, 6 digits).

    The shared secret is encrypted at rest; ``last_step`` is the newest accepted time step, so that
    a code counts once (RFC 6238, section 5.2).
    """

    CARD_NUMBERS: ClassVar = {
        "secret_sealed": Exempt("encrypted"),
    }

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="totp_device")
    uuid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    secret_sealed = models.TextField()
    last_step = models.BigIntegerField(default=-1)
    created_at = models.DateTimeField(auto_now_add=True)


class RecoveryCode(Entity):
    """One of ten single-use codes for a person who lost the authenticator; stored as a digest."""

    CARD_NUMBERS: ClassVar = {
        "code_digest": Exempt("a digest"),
    }

    PREFIX: ClassVar[str] = "rcv"
    UNRECORDED: ClassVar[str] = "recorded on the person, as the second factor is"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    code_digest = models.BinaryField(max_length=32, unique=True)
    pepper_version = models.PositiveSmallIntegerField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.public_id
