"""Merchants, people, keys and tokens on the wire."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from django.utils import timezone

from core import ids
from core.context import Actor
from core.shapes import LaterTime, PageOf, Time, an_id, example_id, one_of, shown
from core.times import iso
from tenants import policies, selectors
from tenants.models import ApiKey, Invitation, Merchant, Reseller, User
from tenants.models.credentials import KeyKind
from tenants.models.people import Role
from tenants.models.tree import TenantStatus
from tenants.tokens import TokenPair


class AccessTokenOut(TypedDict):
    """An access token and, for people, the refresh token that replaces it."""

    access_token: Annotated[
        str, shown(example="eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMDEifQ.c2lnbmF0dXJl")
    ]
    token_type: Annotated[str, shown("Always `Bearer`.", example="Bearer")]
    expires_in: Annotated[int, shown("Seconds.", example=300)]
    refresh_token: NotRequired[str]
    tenant: NotRequired[Annotated[str, shown("Where the token acts.")]]
    role: NotRequired[str]
    scope: NotRequired[Annotated[str, shown("What a machine client's token is good for.")]]


def access_token_out(pair: TokenPair) -> AccessTokenOut:
    """A token answer (RFC 6749, 5.1) inside the envelope."""
    data: AccessTokenOut = {
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


class LoggedOutOut(TypedDict):
    """The end of a login."""

    logged_out: Literal[True]


class DeletedOut(TypedDict):
    """What was removed."""

    id: str
    object: str
    deleted: Literal[True]


class ApiKeyOut(TypedDict):
    """An API key. `key` is its text: only in the answer that makes it, always for a `pk`."""

    id: Annotated[str, an_id("key")]
    object: Literal["api_key"]
    kind: Annotated[str, one_of(KeyKind.values, example="rk")]
    name: Annotated[str, shown(example="Reporting")]
    livemode: bool
    status: Annotated[str, one_of(["active", "expiring", "expired", "revoked"], example="active")]
    hint: Annotated[str, shown("The end of the key.", example="x7Qp")]
    scopes: Annotated[list[str], shown(example=["payments.read", "refunds.read"])]
    ip_allowlist: Annotated[list[str], shown(example=[])]
    key: str | None
    replaced_by: Annotated[str | None, shown("The key that a rotation made.")]
    created_at: Time
    expires_at: Annotated[Time | None, shown(example=None)]
    revoked_at: Annotated[Time | None, shown(example=None)]
    last_used_at: Annotated[Time | None, shown(example=None)]


def api_key_out(key: ApiKey, *, text: str | None = None) -> ApiKeyOut:
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
        "replaced_by": ids.encode_or_none(ApiKey.PREFIX, key.replaced_by_id),
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at),
        "revoked_at": iso(key.revoked_at),
        "last_used_at": iso(key.last_used_at),
    }


class MemberOut(TypedDict):
    """A person of the team."""

    id: Annotated[str, an_id("mem")]
    object: Literal["membership"]
    user: Annotated[str, an_id("usr")]
    email: Annotated[str, shown(example="dev@shop.example", format="email")]
    name: Annotated[str, shown(example="Grace Hopper")]
    role: Annotated[str, one_of(Role.values, example="developer")]
    joined_at: Time
    last_login: LaterTime | None


def member_out(member: selectors.Member) -> MemberOut:
    """A member of the team."""
    return {
        "id": member.public_id,
        "object": "membership",
        "user": ids.encode(User.PREFIX, member.user_id),
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "joined_at": iso(member.joined_at),
        "last_login": iso(member.last_login),
    }


class InvitationOut(TypedDict):
    """An invitation, and what became of it."""

    id: Annotated[str, an_id("inv")]
    object: Literal["invitation"]
    email: Annotated[str, shown(example="linus@shop.example", format="email")]
    role: Annotated[str, shown(example="viewer")]
    merchant: Annotated[str | None, shown(example=example_id("mer"))]
    status: Annotated[str, one_of(selectors.INVITATION_STATES, example="sent")]
    invited_by: Annotated[str | None, shown("The person who sent it.", example=example_id("usr"))]
    created_at: Time
    expires_at: Annotated[Time, shown(example="2026-11-28T09:30:00.000Z")]


def invitation_out(row: Invitation) -> InvitationOut:
    """An invitation, without its secret link."""
    return {
        "id": row.public_id,
        "object": "invitation",
        "email": row.email,
        "role": row.role,
        "merchant": ids.encode_or_none(Merchant.PREFIX, row.merchant_id),
        "status": row.state(timezone.now()),
        "invited_by": ids.encode_or_none(User.PREFIX, row.invited_by_id),
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }


class MerchantOut(TypedDict):
    """A merchant of the caller's reseller."""

    id: Annotated[str, an_id("mer")]
    object: Literal["merchant"]
    reseller: Annotated[str, an_id("res")]
    name: Annotated[str, shown(example="Corner Books")]
    legal_name: Annotated[str, shown(example="Corner Books LLC")]
    status: Annotated[str, one_of(TenantStatus.values, example="active")]
    country: Annotated[str, shown(example="US")]
    default_currency: Annotated[str, shown(example="USD")]
    statement_descriptor: Annotated[str, shown(example="CORNER BOOKS")]
    support_email: Annotated[str, shown(example="help@cornerbooks.example")]
    website: Annotated[str, shown(example="https://cornerbooks.example")]
    fee_bps: Annotated[int, shown("Hundredths of a percent of the amount.", example=290)]
    fee_fixed: Annotated[int, shown("Minor units of default_currency.", example=30)]
    reseller_share_bps: NotRequired[
        Annotated[int, shown("Of the fee, to the reseller; shown to the reseller.", example=2000)]
    ]
    created_at: Time


def merchant_out(row: Merchant, *, actor: Actor) -> MerchantOut:
    """A merchant; how its fee is shared, for an actor who may see that."""
    shown_merchant: MerchantOut = {
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
        "created_at": iso(row.created_at),
    }
    if policies.can(actor, "fee_split.read"):
        shown_merchant["reseller_share_bps"] = row.reseller_share_bps
    return shown_merchant


class ApiKeyPage(PageOf):
    items: list[ApiKeyOut]


class Team(PageOf):
    """The members of the caller's tenant; the list is short and comes whole."""

    items: list[MemberOut]


class InvitationPage(PageOf):
    items: list[InvitationOut]


class MerchantPage(PageOf):
    items: list[MerchantOut]
