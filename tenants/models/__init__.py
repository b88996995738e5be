"""Tables of the tenants room: the tree, the people in it, and the credentials they hold."""

from __future__ import annotations

from tenants.models.access import KnownPlace, PasswordReset, PersonChange, SignInLink, TenantChange
from tenants.models.credentials import (
    ApiKey,
    MachineClient,
    RefreshToken,
    ServiceCaller,
)
from tenants.models.mail import DueMail
from tenants.models.people import (
    Invitation,
    Level,
    Membership,
    MerchantGrant,
    RecoveryCode,
    Role,
    TotpDevice,
    User,
)
from tenants.models.tree import Merchant, Platform, Reseller, TenantStatus

__all__ = [
    "ApiKey",
    "DueMail",
    "Invitation",
    "KnownPlace",
    "Level",
    "MachineClient",
    "Membership",
    "Merchant",
    "MerchantGrant",
    "PasswordReset",
    "PersonChange",
    "Platform",
    "RecoveryCode",
    "RefreshToken",
    "Reseller",
    "Role",
    "ServiceCaller",
    "SignInLink",
    "TenantChange",
    "TenantStatus",
    "TotpDevice",
    "User",
]
