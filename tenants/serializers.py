"""Shapes of the tenants room on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core import ids
from core.api.fields import GuardedEmailField, HttpUrlField, StrictSerializer, TextField
from core.times import iso
from tenants import selectors
from tenants.models import ApiKey, Invitation, Merchant, Reseller, User
from tenants.models.people import TENANT_ROLES
from tenants.services.sessions import TokenPair


class LoginBody(StrictSerializer):
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


class RefreshBody(StrictSerializer):
    """A refresh token, good for one use."""

    refresh_token = serializers.CharField(max_length=128)


class ClientSessionBody(StrictSerializer):
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


class TokenShape(serializers.Serializer[Any]):
    """An access token and, for people, the refresh token that replaces it."""

    access_token = serializers.CharField()
    token_type = serializers.CharField(help_text="Always `Bearer`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    refresh_token = serializers.CharField(required=False)
    tenant = serializers.CharField(required=False, help_text="Where the token acts.")
    role = serializers.CharField(required=False)
    scope = serializers.CharField(
        required=False, help_text="What a machine client's token is good for."
    )

    class Meta:
        ref_name = "AccessToken"


class LoggedOutShape(serializers.Serializer[Any]):
    """The end of a login."""

    logged_out = serializers.BooleanField()


class DeletedShape(serializers.Serializer[Any]):
    """What was removed."""

    id = serializers.CharField()
    object = serializers.CharField()
    deleted = serializers.BooleanField()


class ApiKeyBody(StrictSerializer):
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


class RotateBody(StrictSerializer):
    """How long the old key keeps working beside the new one."""

    overlap_seconds = serializers.IntegerField(
        required=False, default=86_400, min_value=0, max_value=604_800
    )


class ApiKeyShape(serializers.Serializer[Any]):
    """An API key. `key` is its text: only in the answer that makes it, always for a `pk`."""

    id = serializers.CharField()
    object = serializers.CharField()
    kind = serializers.ChoiceField(choices=["sk", "rk", "pk"])
    name = serializers.CharField()
    livemode = serializers.BooleanField()
    status = serializers.ChoiceField(choices=["active", "expiring", "expired", "revoked"])
    hint = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    ip_allowlist = serializers.ListField(child=serializers.CharField())
    key = serializers.CharField(allow_null=True)
    replaced_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class MemberShape(serializers.Serializer[Any]):
    """A person of the team."""

    id = serializers.CharField()
    object = serializers.CharField()
    user = serializers.CharField()
    email = serializers.EmailField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=[str(role) for role in TENANT_ROLES])
    joined_at = serializers.DateTimeField()
    last_login = serializers.DateTimeField(allow_null=True)


class TeamShape(serializers.Serializer[Any]):
    """The members of the caller's tenant; the list is short and comes whole."""

    items = MemberShape(many=True)
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class RoleBody(StrictSerializer):
    """A member's new role."""

    role = serializers.ChoiceField(choices=[str(role) for role in TENANT_ROLES])


class InvitationBody(StrictSerializer):
    """Somebody to invite."""

    email = GuardedEmailField(max_length=254)
    role = serializers.ChoiceField(choices=[str(role) for role in TENANT_ROLES])
    merchant = TextField(
        max_length=40,
        required=False,
        allow_null=True,
        default=None,
        help_text="For a reseller: the merchant (`mer_…`) to invite into.",
    )


class InvitationShape(serializers.Serializer[Any]):
    """An open invitation."""

    id = serializers.CharField()
    object = serializers.CharField()
    email = serializers.EmailField()
    role = serializers.CharField()
    merchant = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class MerchantBody(StrictSerializer):
    """A merchant to sign up."""

    name = TextField(max_length=120, allow_blank=False)
    legal_name = TextField(max_length=200, required=False, default="")
    country = serializers.CharField(min_length=2, max_length=2, help_text="ISO 3166-1 alpha-2.")
    default_currency = serializers.CharField(min_length=3, max_length=5, help_text="ISO 4217.")
    statement_descriptor = TextField(max_length=22, required=False, default="")
    support_email = GuardedEmailField(required=False, allow_blank=True, default="")
    website = HttpUrlField(required=False, allow_blank=True, default="", max_length=200)


class MerchantShape(serializers.Serializer[Any]):
    """A merchant of the caller's reseller."""

    id = serializers.CharField()
    object = serializers.CharField()
    reseller = serializers.CharField()
    name = serializers.CharField()
    legal_name = serializers.CharField()
    status = serializers.ChoiceField(choices=["pending", "active", "suspended", "closed"])
    country = serializers.CharField()
    default_currency = serializers.CharField()
    statement_descriptor = serializers.CharField()
    support_email = serializers.CharField()
    website = serializers.CharField()
    fee_bps = serializers.IntegerField(help_text="Hundredths of a percent of the amount.")
    fee_fixed = serializers.IntegerField(help_text="Minor units of default_currency.")
    reseller_share_bps = serializers.IntegerField(help_text="Of the fee, to the reseller.")
    created_at = serializers.DateTimeField()


def token_data(pair: TokenPair) -> dict[str, Any]:
    """A token answer (RFC 6749, 5.1) inside the envelope."""
    data: dict[str, Any] = {
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in_s,
    }
    if pair.refresh_token:
        data["refresh_token"] = pair.refresh_token
    if pair.seat is not None:
        prefix = {"platform": "plt", "reseller": Reseller.PREFIX, "merchant": Merchant.PREFIX}
        data["tenant"] = ids.encode(prefix[pair.seat.level], pair.seat.tenant_id)
        data["role"] = pair.seat.role
    if pair.scopes:
        data["scope"] = " ".join(pair.scopes)
    return data


def api_key_data(key: ApiKey, *, text: str | None = None) -> dict[str, Any]:
    """A key; its text only where it is new or publishable."""
    return {
        "id": key.public_id,
        "object": "api_key",
        "kind": key.kind,
        "name": key.name,
        "livemode": key.livemode,
        "status": selectors.api_key_status(key),
        "hint": key.hint,
        "scopes": key.scopes,
        "ip_allowlist": key.ip_allowlist,
        "key": text or key.publishable_text or None,
        "replaced_by": ids.encode(ApiKey.PREFIX, key.replaced_by_id)
        if key.replaced_by_id
        else None,
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at) if key.expires_at else None,
        "revoked_at": iso(key.revoked_at) if key.revoked_at else None,
        "last_used_at": iso(key.last_used_at) if key.last_used_at else None,
    }


def member_data(member: selectors.Member) -> dict[str, Any]:
    """A member of the team."""
    return {
        "id": member.public_id,
        "object": "membership",
        "user": ids.encode(User.PREFIX, member.user_id),
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "joined_at": iso(member.joined_at),
        "last_login": iso(member.last_login) if member.last_login else None,
    }


def invitation_data(row: Invitation) -> dict[str, Any]:
    """An invitation, without its secret link."""
    return {
        "id": row.public_id,
        "object": "invitation",
        "email": row.email,
        "role": row.role,
        "merchant": ids.encode(Merchant.PREFIX, row.merchant_id) if row.merchant_id else None,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }


def merchant_data(row: Merchant) -> dict[str, Any]:
    """A merchant."""
    return {
        "id": row.public_id,
        "object": "merchant",
        "reseller": ids.encode(Reseller.PREFIX, row.reseller_id),
        "name": row.name,
        "legal_name": row.legal_name,
        "status": row.status,
        "country": row.country,
        "default_currency": row.default_currency,
        "statement_descriptor": row.statement_descriptor,
        "support_email": row.support_email,
        "website": row.website,
        "fee_bps": row.fee_bps,
        "fee_fixed": row.fee_fixed_minor,
        "reseller_share_bps": row.reseller_share_bps,
        "created_at": iso(row.created_at),
    }
