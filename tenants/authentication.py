"""Who is calling: the credentials of the API, each resolved to one :class:`core.context.Actor`.

| credential | looks like |
| --- | --- |
| API key | ``Authorization: Bearer mk_…`` or Basic with the key as user name |
| access token | ``Authorization: Bearer eyJ…`` (``/v1/auth/login``, ``/v1/client/session``) |
| service caller | ``X-Merchantry-Key-Id`` and the three headers beside it (HMAC) |
| portal session | the cookie, with a CSRF token on writes; the second factor, where one is due |

After authentication ``request.auth`` is the actor, and :func:`seller_of` gives the
:class:`MerchantFacts` of its merchant, filled by the same single statement that finds an API key. A
wrong credential is 401 with ``WWW-Authenticate``; a right one from a wrong address is 403. Public
views set ``authentication_classes = []``.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from core import errors, hmac_auth, ids
from core.context import Actor
from core.db import execute_prepared, fetch_one
from core.process import Process, current_process
from core.proxies import client_ip
from core.requests import RequestKey
from core.serving.callers import note_tenant
from tenants import callers, keys, policies, tokens
from tenants.models import TenantStatus, User
from tenants.seats import resolve_seat, second_factor_due

REALM: Final = 'Bearer realm="merchantry"'
KEY_PURPOSE: Final = "api_key"


@dataclass(frozen=True, slots=True)
class MerchantFacts:
    """What most requests need to know of their merchant; see ``tenants.models.Merchant``."""

    merchant_id: UUID
    reseller_id: UUID
    status: str
    reseller_status: str
    name: str
    default_currency: str
    fee_bps: int
    fee_fixed_minor: int
    reseller_share_bps: int

    @property
    def is_active(self) -> bool:
        """Whether live money may move: the merchant and its reseller are both active."""
        return self.status == self.reseller_status == TenantStatus.ACTIVE


def merchant_facts(merchant_id: UUID) -> MerchantFacts | None:
    """Read a merchant's facts before or inside a scope (one statement)."""
    row = fetch_one(
        "SELECT merchant_id, reseller_id, merchant_status, reseller_status, merchant_name,"
        " default_currency, fee_bps, fee_fixed_minor, reseller_share_bps"
        " FROM tenants_merchant_facts(%s)",
        [merchant_id],
    )
    return None if row is None else MerchantFacts(*row)


#: None where the caller is bound to no merchant.
MERCHANT: Final = RequestKey["MerchantFacts | None"]("merchant", set_by="RequestAuthentication")


def seller_of(request: Request) -> MerchantFacts:
    """The merchant that the caller belongs to; read with the credential.

    Raises InvalidRequest (``merchant_required``) where the caller belongs to none.
    """
    facts = MERCHANT.of(request._request)
    if facts is None:
        raise errors.InvalidRequest(
            "Use a key of a merchant: this caller belongs to none.", code="merchant_required"
        )
    return facts


class RequestAuthentication(BaseAuthentication):
    """Checks the kind of credential that the request carries, and no other."""

    def authenticate(self, request: Request) -> tuple[Any, Actor] | None:
        """(user or None, actor); None for a request without any credential."""
        http = request._request
        authorization = http.META.get("HTTP_AUTHORIZATION", "")
        if authorization:
            actor, user = self._by_header(http, authorization)
        elif "HTTP_X_MERCHANTRY_KEY_ID" in http.META:
            actor, user = _by_signature(http), None
        else:
            found = _by_session(request)
            if found is None:
                return None
            actor, user = found
        if actor.platform and current_process() is Process.WEB:
            # This process cannot become staff in the database.
            raise errors.PermissionDenied(
                "The platform's staff works in the console, not over the API.",
                code="console_only",
            )
        note_tenant(actor.merchant_id or actor.reseller_id or actor.id)
        return user, actor

    def authenticate_header(self, request: Request) -> str:
        """What a 401 answers in ``WWW-Authenticate`` (RFC 9110, 11.6.1)."""
        return REALM

    def _by_header(self, http: HttpRequest, authorization: str) -> tuple[Actor, None]:
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        match scheme.lower():
            case "basic":
                return _by_api_key(http, _user_of_basic(credential)), None
            case "bearer" if keys.looks_like_key(credential):
                return _by_api_key(http, credential), None
            case "bearer":
                return _by_token(http, credential), None
        raise errors.AuthenticationFailed(
            "Use Authorization: Bearer with an API key or an access token.",
            code="authorization_scheme_unknown",
        )


def address_allowed(address: str | None, allowlist: Iterable[str]) -> bool:
    """Whether the address lies in one of the networks; IPv4 written as IPv6 counts as IPv4."""
    if address is None:
        return False
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    peer = mapped or peer
    for entry in allowlist:
        network = ipaddress.ip_network(entry, strict=False)
        if peer.version == network.version and peer in network:
            return True
    return False


def _user_of_basic(credential: str) -> str:
    """The user name of HTTP Basic (RFC 7617); the password is ignored, as payment APIs do."""
    try:
        decoded = base64.b64decode(credential, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _bad_key() from error
    return decoded.partition(":")[0]


def _bad_key() -> errors.AuthenticationFailed:
    # One sentence for unknown, revoked and expired: the answer must not help to probe.
    return errors.AuthenticationFailed(
        "The API key is not valid. Copy it whole from Developers → API keys.",
        code="api_key_invalid",
    )


_FIND_KEY: Final = (
    "SELECT key_id, kind, key_name, digest, pepper_version, livemode, scopes, ip_allowlist,"
    " expires_at, revoked_at, merchant_id, reseller_id, merchant_status, reseller_status,"
    " merchant_name, default_currency, fee_bps, fee_fixed_minor, reseller_share_bps"
    " FROM tenants_api_key_find($1)"
)


def _by_api_key(http: HttpRequest, text: str) -> Actor:
    """One statement, and none at all for a mistyped key."""
    parsed = keys.parse(text)
    if parsed is None:
        raise errors.AuthenticationFailed(
            "The API key is misspelt: its checksum does not match. Copy it whole.",
            code="api_key_malformed",
        )
    rows = execute_prepared(_FIND_KEY, [parsed.lookup_id])
    if not rows:
        raise _bad_key()
    row = rows[0]
    key_id, kind, name, digest, pepper, livemode, scopes, allowlist, expires, revoked = row[:10]
    if not keys.matches(text, purpose=KEY_PURPOSE, stored=digest, pepper_version=pepper):
        raise _bad_key()
    now = timezone.now()
    if (revoked is not None and revoked <= now) or (expires is not None and expires <= now):
        raise _bad_key()
    facts = MerchantFacts(*row[10:])
    if TenantStatus.CLOSED in (facts.status, facts.reseller_status):
        raise _bad_key()
    ip = client_ip(http)
    if allowlist and not address_allowed(ip, allowlist):
        raise errors.PermissionDenied(
            f"This API key cannot be used from {ip}. Add the address to its allowlist.",
            code="ip_not_allowed",
        )
    MERCHANT.set(http, facts)
    return Actor(
        kind="api_key",
        id=ids.encode("key", key_id),
        label=name,
        merchant_id=facts.merchant_id,
        reseller_id=facts.reseller_id,
        livemode=livemode,
        scopes=policies.key_permissions(kind=kind, scopes=scopes),
        ip=ip,
    )


def _by_token(http: HttpRequest, token: str) -> Actor:
    """One statement: whether the login is still valid, its role, and the merchant's facts."""
    subject, facts = _standing(tokens.read_access(token))
    if facts is not None and TenantStatus.CLOSED in (facts.status, facts.reseller_status):
        raise _account_closed()
    MERCHANT.set(http, facts)
    return tokens.actor_of(subject, ip=client_ip(http))


def _standing(
    subject: tokens.TokenSubject,
) -> tuple[tokens.TokenSubject, MerchantFacts | None]:
    """The subject with the role that it has now, and its merchant's facts.

    A token can outlive the login behind it: a member is removed, a password changed, a client
    revoked. Each of them takes effect with the next request.

    Raises:
        AuthenticationFailed: the login behind the token has ended (``token_revoked``).
    """
    if subject.kind == "machine":
        row = fetch_one("SELECT * FROM tenants_machine_token(%s)", [subject.subject_id])
        if row is None:
            raise _ended()
        return subject, MerchantFacts(*row)
    row = fetch_one(
        "SELECT * FROM tenants_person_token(%s, %s, %s, %s, %s)",
        [
            subject.subject_id,
            subject.family,
            subject.membership_id,
            subject.merchant_id,
            subject.second_factor,
        ],
    )
    if row is None:
        raise _ended()
    level, role, reseller_id, *facts = row
    now = replace(subject, level=level, role=role, reseller_id=reseller_id)
    return now, None if facts[0] is None else MerchantFacts(*facts)


def _ended() -> errors.AuthenticationFailed:
    return errors.AuthenticationFailed(
        "The login behind this access token has ended. Log in again.", code="token_revoked"
    )


def _account_closed() -> errors.AuthenticationFailed:
    return errors.AuthenticationFailed("This account is closed.", code="account_closed")


def _by_signature(http: HttpRequest) -> Actor:
    """A signed request: known caller, right signature, unused nonce, in this order.

    RAW_URI is the path and query as received (`core/serving/environ.py`); the server itself
    refuses another form of target (`core/serving/protocol.py`).
    """
    raw_target = http.META.get("RAW_URI")
    if raw_target is not None:
        hmac_auth.refuse_other_spelling(raw_target, decoded_path=http.path)
    signed, given = hmac_auth.from_headers(
        http.headers,
        method=http.method or "",
        host=http.get_host(),
        path=http.path,
        query=http.META.get("QUERY_STRING", ""),
        body=http.body,
    )
    caller = callers.service_caller_verify(request=signed, signature=given)
    actor = Actor(
        kind="service",
        id=ids.encode("svc", caller.caller_id),
        label=caller.name,
        merchant_id=caller.merchant_id,
        reseller_id=caller.reseller_id,
        livemode=caller.livemode,
        scopes=policies.SERVICE_SCOPES & frozenset(caller.scopes),
        ip=client_ip(http),
    )
    _attach_facts(http, actor)
    return actor


def _by_session(request: Request) -> tuple[Actor, User] | None:
    """The portal's own calls; the CSRF check that the API's views are exempt from is made here."""
    http = request._request
    user = getattr(http, "user", None)
    if user is None or not user.is_authenticated or not user.is_active:
        return None
    SessionAuthentication().enforce_csrf(request)
    seat = resolve_seat(user_id=user.id, session=http.session)
    if seat is None:
        return None
    verified = user.is_verified()
    if not verified and second_factor_due(user=user, seat=seat):
        # The portal asks for the code before it shows a page; the API refuses the same session.
        raise errors.AuthenticationFailed(
            "Confirm your second factor first: open the portal and enter the code.",
            code="otp_required",
        )
    actor = seat.actor(user=user, second_factor=verified, ip=client_ip(http))
    _attach_facts(http, actor)
    return actor, user


def _attach_facts(http: HttpRequest, actor: Actor) -> None:
    facts = None if actor.merchant_id is None else merchant_facts(actor.merchant_id)
    if actor.merchant_id is not None and (facts is None or facts.status == TenantStatus.CLOSED):
        raise _account_closed()
    MERCHANT.set(http, facts)
