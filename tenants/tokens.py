"""JSON web tokens: short access tokens for apps and machine clients (RFC 7519, RFC 9068).

An access token lives five minutes and says who, in which tenant, in which mode and with which
scopes. Only its text is read here: whether the login behind it is still valid, and which role it
has now, is read from the database with each request (`tenants/authentication.py`). The algorithms
of each issuer are fixed here (RFC 8725, 3.1); headers that name a key by address (``jku``, ``x5u``)
are not followed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import jwt
from django.conf import settings
from django.utils import timezone

from core import errors, ids
from core.context import Actor
from tenants import keys, policies
from tenants.models import Level
from tenants.seats import Seat

ACCESS_LIFETIME: Final = timedelta(minutes=5)
LEEWAY_S: Final = 30
AUDIENCE: Final = "merchantry-api"
TYPE: Final = "at+jwt"
ALGORITHM: Final = "HS256"
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub", "jti"]


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """What an access token says. ``kind`` is ``user`` or ``machine``; ``scopes`` bind a machine.

    A person's names the membership that is acted for and the login (a family of refresh tokens).
    """

    kind: str
    subject_id: UUID
    label: str
    level: str
    role: str
    reseller_id: UUID | None
    merchant_id: UUID | None
    livemode: bool
    second_factor: bool = False
    scopes: tuple[str, ...] = ()
    membership_id: UUID | None = None
    family: UUID | None = None


def issuer() -> str:
    """Our own issuer name: the address of this installation."""
    return str(settings.BASE_URL)


def _algorithms() -> dict[str, list[str]]:
    """What each trusted issuer may sign with. A token of any other issuer is refused."""
    return {issuer(): [ALGORITHM]}


@lru_cache(maxsize=4)
def _read_keys(entries: tuple[str, ...]) -> dict[int, bytes]:
    # Hashed with a label, so that a secret shared with another use never signs for both.
    return {
        version: hashlib.sha256(b"merchantry access token:" + secret).digest()
        for version, secret in keys.versioned(entries, setting="JWT_KEYS").items()
    }


def issue_access(subject: TokenSubject) -> tuple[str, int]:
    """A signed access token and its lifetime in seconds."""
    now = timezone.now()
    signing_keys = _read_keys(tuple(settings.JWT_KEYS))
    version = max(signing_keys)
    claims: dict[str, Any] = {
        "iss": issuer(),
        "aud": AUDIENCE,
        "sub": str(subject.subject_id),
        "jti": str(ids.new_id()),
        "iat": now,
        "exp": now + ACCESS_LIFETIME,
        "kind": subject.kind,
        "name": subject.label,
        "level": subject.level,
        "role": subject.role,
        "res": _text(subject.reseller_id),
        "mer": _text(subject.merchant_id),
        "live": subject.livemode,
        "mfa": subject.second_factor,
        "scope": " ".join(subject.scopes),
        "mem": _text(subject.membership_id),
        "fam": _text(subject.family),
    }
    token = jwt.encode(
        claims,
        signing_keys[version],
        algorithm=ALGORITHM,
        headers={"kid": str(version), "typ": TYPE},
    )
    return token, int(ACCESS_LIFETIME.total_seconds())


def read_access(token: str) -> TokenSubject:
    """Check signature, issuer, audience, type and time. Raises AuthenticationFailed."""
    try:
        header = jwt.get_unverified_header(token)
        unverified = jwt.decode(token, options={"verify_signature": False})
        algorithms = _algorithms()[unverified["iss"]]
        key = _read_keys(tuple(settings.JWT_KEYS))[int(header["kid"])]
        if header.get("typ") != TYPE:
            raise jwt.InvalidTokenError("wrong type")
        claims = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=AUDIENCE,
            issuer=unverified["iss"],
            leeway=LEEWAY_S,
            options={"require": _REQUIRED},
        )
        return TokenSubject(
            kind=claims["kind"],
            subject_id=UUID(claims["sub"]),
            label=str(claims["name"]),
            level=claims["level"],
            role=claims["role"],
            reseller_id=_uuid(claims["res"]),
            merchant_id=_uuid(claims["mer"]),
            livemode=claims["live"] is True,
            second_factor=claims["mfa"] is True,
            scopes=tuple(claims["scope"].split()),
            membership_id=_uuid(claims["mem"]),
            family=_uuid(claims["fam"]),
        )
    except jwt.ExpiredSignatureError as error:
        raise errors.AuthenticationFailed(
            "The access token has expired. Get a new one at /v1/auth/refresh.",
            code="token_expired",
        ) from error
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
        raise errors.AuthenticationFailed(
            "The access token is not valid.", code="token_invalid"
        ) from error


def actor_of(subject: TokenSubject, *, ip: str | None) -> Actor:
    """The actor behind an access token."""
    if subject.kind == "machine":
        return Actor(
            kind="api_key",
            id=ids.encode("mcl", subject.subject_id),
            label=subject.label,
            merchant_id=subject.merchant_id,
            reseller_id=subject.reseller_id,
            livemode=subject.livemode,
            scopes=policies.key_permissions(kind="rk", scopes=subject.scopes),
            ip=ip,
        )
    return Actor(
        kind="user",
        id=ids.encode("usr", subject.subject_id),
        label=subject.label,
        merchant_id=subject.merchant_id,
        reseller_id=subject.reseller_id,
        platform=subject.level == Level.PLATFORM,
        role=subject.role,
        livemode=subject.livemode,
        scopes=policies.effective(
            level=subject.level,
            role=subject.role,
            livemode=subject.livemode,
            second_factor=subject.second_factor,
        ),
        ip=ip,
        user_id=subject.subject_id,
    )


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)


def _uuid(value: str) -> UUID | None:
    return UUID(value) if value else None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or a refresh gives; a machine has scopes, a person refresh token and seat."""

    access_token: str
    expires_in_s: int
    refresh_token: str
    seat: Seat | None
    scopes: tuple[str, ...] = ()
