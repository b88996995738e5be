"""What the API accepts for tokens, keys, people and merchants; requests are strict."""

from __future__ import annotations

from rest_framework import serializers

from core.api.fields import GuardedEmailField, HttpUrlField, StrictSerializer, TextField
from tenants.models.people import TENANT_ROLES


class Login(StrictSerializer):
    """Credentials of a person."""

    email = GuardedEmailField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    otp = serializers.CharField(
        max_length=16,
        required=False,
        allow_blank=True,
        default="",
        help_text="Six digits of the authenticator app, or a recovery code.",
    )
    tenant = TextField(
        max_length=40,
        required=False,
        default="",
        help_text="Reseller or merchant to act in (`res_…`, `mer_…`); the first one by default.",
    )
    livemode = serializers.BooleanField(required=False, default=False)


class Refresh(StrictSerializer):
    """A refresh token, good for one use."""

    refresh_token = serializers.CharField(max_length=128)


class ClientSession(StrictSerializer):
    """OAuth 2.0 client credentials (RFC 6749, 4.4)."""

    grant_type = serializers.ChoiceField(
        choices=["client_credentials"], required=False, default="client_credentials"
    )
    client_id = TextField(max_length=64, allow_blank=False)
    client_secret = serializers.CharField(max_length=128)
    scope = TextField(
        max_length=1_000,
        required=False,
        default="",
        help_text="The most that the token may do, separated by spaces (RFC 6749, 3.3); "
        "without it all that the client may.",
    )


class ApiKeyCreate(StrictSerializer):
    """A new API key. Its mode is that of the caller."""

    name = TextField(max_length=120, allow_blank=False)
    kind = serializers.ChoiceField(choices=["sk", "rk", "pk"], required=False, default="sk")
    scopes = serializers.ListField(
        child=TextField(max_length=60, allow_blank=False),
        required=False,
        default=list,
        max_length=60,
        help_text="Permissions such as `payments.read`, or `payments.*`.",
    )
    ip_allowlist = serializers.ListField(
        child=serializers.CharField(max_length=43), required=False, default=list, max_length=50
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    class Meta:
        ref_name = "ApiKey"


class Rotate(StrictSerializer):
    """How long the old key keeps working beside the new one."""

    overlap_seconds = serializers.IntegerField(
        required=False, default=86_400, min_value=0, max_value=604_800
    )


class MemberUpdate(StrictSerializer):
    """A member's new role."""

    role = serializers.ChoiceField(choices=[str(role) for role in TENANT_ROLES])

    class Meta:
        ref_name = "Role"


class InvitationCreate(StrictSerializer):
    """A person to invite."""

    email = GuardedEmailField(max_length=254)
    role = serializers.ChoiceField(choices=[str(role) for role in TENANT_ROLES])
    merchant = TextField(
        max_length=40,
        required=False,
        allow_null=True,
        default=None,
        help_text="For a reseller: the merchant (`mer_…`) to invite into.",
    )

    class Meta:
        ref_name = "Invitation"


class MerchantCreate(StrictSerializer):
    """A merchant to sign up."""

    name = TextField(max_length=120, allow_blank=False)
    legal_name = TextField(max_length=200, required=False, default="")
    country = serializers.CharField(min_length=2, max_length=2, help_text="ISO 3166-1 alpha-2.")
    default_currency = serializers.CharField(min_length=3, max_length=5, help_text="ISO 4217.")
    statement_descriptor = TextField(max_length=22, required=False, default="")
    support_email = GuardedEmailField(required=False, allow_blank=True, default="")
    website = HttpUrlField(required=False, allow_blank=True, default="", max_length=200)

    class Meta:
        ref_name = "Merchant"
