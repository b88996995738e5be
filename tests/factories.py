"""Fresh tenants for every test: committed for real, never cleaned, isolated by being new.

t = make_tenants()                      # one platform, reseller, merchant; all in one statement
with tenant_atomic(t.scope): ...
payment_create(actor=t.key_actor(), ...)           # as an API key in test mode
refund_create(actor=t.actor("admin"), ...)         # as a person
client.post(url, headers=t.headers(livemode=False)) # over HTTP
other = make_tenants()                  # foreign tenants, for the 404 tests
second = make_merchant(t)               # another merchant of the same reseller
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.unit import Writes
from tenants import callers, keys, policies, tokens, totp
from tenants.models import (
    ApiKey,
    Membership,
    Merchant,
    Platform,
    RefreshToken,
    Reseller,
    ServiceCaller,
    TotpDevice,
    User,
)
from tenants.services.api_keys import API_KEY_PURPOSE

PASSWORD = "correct horse battery staple"
TENANT_ROLES = ("owner", "admin", "developer", "viewer")
PLATFORM_ROLES = ("compliance", "finance", "support")


@dataclass
class Tenants:
    """A merchant with everything above it and everybody in it.

    ``users`` is keyed ``merchant.owner``, ``reseller.viewer``, ``platform.finance``; ``keys`` by
    ``(kind, livemode)``; ``totp_secrets`` by user id, for those enrolled.
    """

    platform: Platform
    reseller: Reseller
    merchant: Merchant
    users: dict[str, User] = field(default_factory=dict)
    memberships: dict[str, Membership] = field(default_factory=dict)
    keys: dict[tuple[str, bool], str] = field(default_factory=dict)
    key_rows: dict[tuple[str, bool], ApiKey] = field(default_factory=dict)
    totp_secrets: dict[Any, bytes] = field(default_factory=dict)
    service_key_id: str = ""
    service_secret: str = ""

    @property
    def secret_key_test(self) -> str:
        return self.keys["sk", False]

    @property
    def secret_key_live(self) -> str:
        return self.keys["sk", True]

    @property
    def publishable_key_test(self) -> str:
        return self.keys["pk", False]

    @property
    def publishable_key_live(self) -> str:
        return self.keys["pk", True]

    @property
    def scope(self) -> Scope:
        """The merchant's scope."""
        return Scope.merchant(self.merchant.id)

    @property
    def reseller_scope(self) -> Scope:
        return Scope.reseller(self.reseller.id)

    def headers(self, *, kind: str = "sk", livemode: bool = False) -> dict[str, str]:
        """Request headers with one of the merchant's API keys and a fresh idempotency key."""
        return {
            "Authorization": f"Bearer {self.keys[kind, livemode]}",
            "Idempotency-Key": secrets.token_hex(12),
        }

    def key_actor(self, *, kind: str = "sk", livemode: bool = False) -> Actor:
        """The actor that an API key of the merchant authenticates as."""
        return Actor(
            kind="api_key",
            id=self.key_rows[kind, livemode].public_id,
            label=f"{kind} key",
            merchant_id=self.merchant.id,
            reseller_id=self.reseller.id,
            livemode=livemode,
            scopes=policies.key_permissions(kind=kind, scopes=[]),
            ip="203.0.113.7",
        )

    def actor(
        self,
        role: str = "owner",
        *,
        level: str = "merchant",
        livemode: bool = False,
        second_factor: bool = True,
    ) -> Actor:
        """The actor of a person in a role on a level of the tree."""
        user = self.users[f"{level}.{role}"]
        return Actor(
            kind="user",
            id=user.public_id,
            label=user.email,
            merchant_id=self.merchant.id if level == "merchant" else None,
            reseller_id=self.reseller.id if level in ("merchant", "reseller") else None,
            platform=level == "platform",
            role=role,
            livemode=livemode,
            scopes=policies.effective(
                level=level, role=role, livemode=livemode, second_factor=second_factor
            ),
            ip="203.0.113.7",
            user_id=user.id,
        )

    def access_token(self, name: str = "merchant.owner", *, livemode: bool = False) -> str:
        """An access token of a person, as after a login; with the second factor where enrolled."""
        user, membership = self.users[name], self.memberships[name]
        family, passed = ids.new_id(), user.id in self.totp_secrets
        with tenant_atomic(Scope.auth()):
            RefreshToken.objects.create(
                user=user,
                membership_id=membership.id,
                merchant_id=membership.merchant_id,
                livemode=livemode,
                second_factor=passed,
                family=family,
                token_digest=secrets.token_bytes(32),
                pepper_version=1,
                expires_at=timezone.now() + timedelta(days=30),
            )
        token, _ = tokens.issue_access(
            tokens.TokenSubject(
                kind="user",
                subject_id=user.id,
                label=user.email,
                level=membership.level,
                role=membership.role,
                reseller_id=membership.reseller_id,
                merchant_id=membership.merchant_id,
                livemode=livemode,
                second_factor=passed,
                membership_id=membership.id,
                family=family,
            )
        )
        return token

    def service_actor(self) -> Actor:
        """The actor of the HMAC service caller, bound to no merchant."""
        return Actor(kind="service", id="svc", label="service", scopes=policies.SERVICE_SCOPES)


@lru_cache(maxsize=1)
def _password_hash() -> str:
    return make_password(PASSWORD)


class Given(Writes):
    """Rows that are there when a test begins: nobody changed them, so no record covers them."""

    def _compiled(self, *, failing: bool) -> tuple[str, list[Any]]:
        self._written = {}
        return super()._compiled(failing=failing)


def make_tenants(
    *,
    users: bool = True,
    totp: bool = False,
    service_caller: bool = False,
    reseller: Reseller | None = None,
    platform: Platform | None = None,
    **merchant: Any,
) -> Tenants:
    """New tenants in one statement (two with ``totp``); keyword arguments go to the merchant.

    ``users=False`` leaves the eleven people out. ``totp`` enrols everybody, so that they can log in
    to the portal: ``totp.code_at(t.totp_secrets[user.id])`` gives the code.
    """
    mark = secrets.token_hex(4)
    writes = Given()
    if platform is None:
        platform = reseller.platform if reseller is not None else Platform(name=f"Platform {mark}")
        if reseller is None:
            writes.insert(platform)
    if reseller is None:
        reseller = Reseller(platform=platform, name=f"Reseller {mark}", country="US")
        writes.insert(reseller)
    row = _merchant(reseller, mark, merchant)
    writes.insert(row)
    made = Tenants(platform=platform, reseller=reseller, merchant=row)
    _add_keys(made, writes)
    if users:
        _add_people(made, writes, mark)
    if service_caller:
        _add_service_caller(made, writes, mark)
    with tenant_atomic(Scope.staff()):
        writes.flush()
    if totp:
        _enrol(made)
    return made


def make_merchant(tenants: Tenants, **merchant: Any) -> Tenants:
    """Another merchant under the same reseller, with keys and without people."""
    return make_tenants(
        users=False, reseller=tenants.reseller, platform=tenants.platform, **merchant
    )


def _merchant(reseller: Reseller, mark: str, given: dict[str, Any]) -> Merchant:
    return Merchant(
        **{
            "reseller": reseller,
            "name": f"Merchant {mark}",
            "legal_name": f"Merchant {mark} LLC",
            "status": "active",
            "country": "US",
            "default_currency": "USD",
            "fee_fixed_minor": 30,
            "statement_descriptor": "MERCHANT",
            **given,
        }
    )


def _add_keys(made: Tenants, writes: Writes) -> None:
    for kind in ("sk", "pk"):
        for livemode in (False, True):
            text = keys.generate(kind=kind, livemode=livemode)
            stored = keys.digest(text.text, purpose=API_KEY_PURPOSE)
            row = ApiKey(
                merchant_id=made.merchant.id,
                reseller_id=made.reseller.id,
                livemode=livemode,
                kind=kind,
                name=f"{kind} {'live' if livemode else 'test'}",
                lookup_id=text.lookup_id,
                digest=stored.value,
                pepper_version=stored.pepper_version,
                hint=text.hint,
                publishable_text=text.text if kind == "pk" else "",
                # As if in use: the first request of a test then writes nothing beside its own.
                last_used_at=timezone.now(),
            )
            writes.insert(row)
            made.keys[kind, livemode] = text.text
            made.key_rows[kind, livemode] = row


def _add_people(made: Tenants, writes: Writes, mark: str) -> None:
    places = [("merchant", role) for role in TENANT_ROLES]
    places += [("reseller", role) for role in TENANT_ROLES]
    places += [("platform", role) for role in PLATFORM_ROLES]
    for level, role in places:
        name = f"{level}.{role}"
        user = User(
            email=f"{role}.{level}.{mark}@example.test",
            name=f"{role.title()} {mark}",
            password=_password_hash(),
            is_staff=level == "platform",
        )
        membership = Membership(
            user=user,
            level=level,
            role=role,
            platform=made.platform if level == "platform" else None,
            reseller=made.reseller if level in ("merchant", "reseller") else None,
            merchant=made.merchant if level == "merchant" else None,
        )
        writes.insert(user, membership)
        made.users[name] = user
        made.memberships[name] = membership


def _add_service_caller(made: Tenants, writes: Writes, mark: str) -> None:
    made.service_key_id = f"svc_{mark}"
    made.service_secret = secrets.token_urlsafe(32)
    row_id = ids.new_id()
    writes.insert(
        ServiceCaller(
            id=row_id,
            name="Service",
            key_id=made.service_key_id,
            secret_sealed=callers.seal_secret(made.service_secret, caller_id=row_id),
            scopes=sorted(policies.SERVICE_SCOPES),
        )
    )


def _enrol(made: Tenants) -> None:
    devices = []
    for user in made.users.values():
        secret = totp.new_secret()
        made.totp_secrets[user.id] = secret
        devices.append(
            TotpDevice(
                user=user,
                name="Authenticator app",
                confirmed=True,
                secret_sealed=totp.seal_secret(secret, user_id=user.id),
            )
        )
    with tenant_atomic(Scope.auth()):
        TotpDevice.objects.bulk_create(devices)
