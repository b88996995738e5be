"""The demo tenants of ``./dev up``: the same ones, with the same secrets, on every run.

Passwords, authenticator secrets, API keys and HMAC secrets are derived from SECRET_KEY by HKDF
(RFC 5869), so that nothing needs to be kept in clear to print them again. Rows carry fixed ids; a
second run finds them and adds only what is missing. What people have changed since stays as it is:
a name, a password, a role, a revoked key, a closed merchant, a member who was invited again.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db.models import Q

from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.models import Tenancy
from core.unit import Writes
from tenants import callers, keys, policies, totp
from tenants.fees import fixed_fee_minor
from tenants.models import (
    ApiKey,
    Membership,
    Merchant,
    Platform,
    Reseller,
    ServiceCaller,
    TotpDevice,
    User,
)
from tenants.services.api_keys import API_KEY_PURPOSE

NAMESPACE: Final = UUID("5f0f1c5e-6a3f-4c38-9c3b-7f0f6d3b2a10")
ACTOR: Final = Actor.system("demo")
#: Reserved for examples by RFC 2606: no mail ever leaves for it.
DOMAIN: Final = "demo.example"
SERVICE_KEY: Final = "svc_demo"

TENANT_ROLES: Final = ("owner", "admin", "developer", "viewer")
#: name before the @, role. Two of finance: one proposes a correction, the other confirms it.
PLATFORM_PEOPLE: Final = (
    ("compliance", "compliance"),
    ("finance", "finance"),
    ("finance2", "finance"),
    ("support", "support"),
)

RESELLERS: Final = (
    ("northwind", "Northwind Payments", "US"),
    ("lumen", "Lumen Commerce", "DE"),
)
#: slug, reseller's slug, name, country, currency, statement descriptor
MERCHANTS: Final = (
    ("bluebottle", "northwind", "Blue Bottle Books", "US", "USD", "BLUE BOTTLE BOOKS"),
    ("fernhill", "northwind", "Fernhill Garden Supply", "GB", "GBP", "FERNHILL GARDEN"),
    ("kaffeewerk", "lumen", "Kaffeewerk Berlin", "DE", "EUR", "KAFFEEWERK BERLIN"),
)


@dataclass(slots=True)
class _Plan:
    """Everything that should exist, with the secrets that belong to it."""

    rows: list[Any] = field(default_factory=list)
    devices: list[tuple[User, bytes]] = field(default_factory=list)
    people: list[dict[str, str]] = field(default_factory=list)
    keys: dict[UUID, dict[str, str]] = field(default_factory=dict)
    callers: list[dict[str, str]] = field(default_factory=list)


def derive(label: str, length: int) -> bytes:
    """Demo key material for ``label``, the same for the same SECRET_KEY."""
    return HKDF(
        algorithm=SHA256(), length=length, salt=b"merchantry demo", info=label.encode()
    ).derive(settings.SECRET_KEY.encode())


def demo_id(label: str) -> UUID:
    """The fixed id of a demo row."""
    return uuid5(NAMESPACE, label)


def demo_password(label: str) -> str:
    """Sixteen base32 characters in groups: passes the validators, can be typed."""
    text = base64.b32encode(derive(f"password:{label}", 10)).decode().lower()
    return "-".join(text[index : index + 4] for index in range(0, 16, 4))


def seed_demo() -> dict[str, Any]:
    """Make what is missing of the demo tenants and return what a script needs (demo.json).

    ``base_url``, ``users`` (email, password, totp_secret, tenant, role), ``resellers``,
    ``merchants`` with their keys, ``service_callers``. Idempotent; two at once are serialised.
    """
    platform = Platform(id=demo_id("platform"), name="Merchantry Demo Platform")
    resellers = {
        slug: Reseller(
            id=demo_id(f"reseller:{slug}"),
            platform=platform,
            name=name,
            legal_name=f"{name} Inc.",
            country=country,
            support_email=f"support@{slug}.{DOMAIN}",
        )
        for slug, name, country in RESELLERS
    }
    merchants = {slug: _merchant(resellers, slug, *rest) for slug, *rest in MERCHANTS}
    plan = _Plan()
    plan.rows += [platform, *resellers.values(), *merchants.values()]
    for who, role in PLATFORM_PEOPLE:
        _person(plan, f"{who}@{DOMAIN}", role, "platform", platform=platform)
    for slug, reseller in resellers.items():
        for role in TENANT_ROLES:
            _person(plan, f"{role}@{slug}.{DOMAIN}", role, "reseller", reseller=reseller)
    for slug, merchant in merchants.items():
        for role in TENANT_ROLES:
            _person(
                plan,
                f"{role}@{slug}.{DOMAIN}",
                role,
                "merchant",
                reseller=merchant.reseller,
                merchant=merchant,
            )
        _keys(plan, merchant, slug)
    for mode in ("test", "live"):
        _service_caller(plan, livemode=mode == "live")
    _store(plan)
    return {
        "base_url": settings.BASE_URL,
        "users": plan.people,
        "resellers": [{"id": row.public_id, "name": row.name} for row in resellers.values()],
        "merchants": [
            {
                "id": row.public_id,
                "name": row.name,
                "reseller": row.reseller.public_id,
                **plan.keys[row.id],
            }
            for row in merchants.values()
        ],
        "service_callers": plan.callers,
    }


def _merchant(
    resellers: dict[str, Reseller],
    slug: str,
    reseller: str,
    name: str,
    country: str,
    currency: str,
    descriptor: str,
) -> Merchant:
    return Merchant(
        id=demo_id(f"merchant:{slug}"),
        reseller=resellers[reseller],
        name=name,
        legal_name=name,
        status="active",
        country=country,
        default_currency=currency,
        statement_descriptor=descriptor,
        support_email=f"support@{slug}.{DOMAIN}",
        website=f"https://{slug}.{DOMAIN}",
        fee_bps=290,
        fee_fixed_minor=fixed_fee_minor(currency),
        reseller_share_bps=2_500,
    )


def _person(plan: _Plan, email: str, role: str, level: str, **tenants: Any) -> None:
    password = demo_password(email)
    secret = derive(f"totp:{email}", totp.SECRET_BYTES)
    tenant = tenants.get("merchant") or tenants.get("reseller") or tenants["platform"]
    user = User(
        id=demo_id(f"user:{email}"),
        email=email,
        name=f"{role.title()} at {tenant.name}",
        # Filled in by _store for a new row alone: Argon2id is slow on purpose.
        password=f"demo:{password}",
        is_staff=level == "platform",
    )
    membership = Membership(
        id=demo_id(f"membership:{email}"), user=user, level=level, role=role, **tenants
    )
    plan.rows += [user, membership]
    plan.devices.append((user, secret))
    plan.people.append(
        {
            "email": email,
            "password": password,
            "totp_secret": totp.secret_text(secret),
            "tenant": tenant.public_id,
            "role": role,
        }
    )


def _keys(plan: _Plan, merchant: Merchant, slug: str) -> None:
    texts: dict[str, str] = {}
    for livemode, mode in ((False, "test"), (True, "live")):
        for kind, name in (("sk", "secret_key"), ("pk", "publishable_key")):
            label = f"key:{slug}:{kind}:{mode}"
            text = keys.generate(kind=kind, livemode=livemode, seed=derive(label, 48))
            stored = keys.digest(text.text, purpose=API_KEY_PURPOSE)
            texts[f"{name}_{mode}"] = text.text
            plan.rows.append(
                ApiKey(
                    id=demo_id(label),
                    merchant_id=merchant.id,
                    reseller_id=merchant.reseller_id,
                    livemode=livemode,
                    kind=kind,
                    name=f"Demo {name.replace('_', ' ')}",
                    lookup_id=text.lookup_id,
                    digest=stored.value,
                    pepper_version=stored.pepper_version,
                    hint=text.hint,
                    publishable_text=text.text if kind == "pk" else "",
                    created_by="demo",
                )
            )
    plan.keys[merchant.id] = texts


def _service_caller(plan: _Plan, *, livemode: bool) -> None:
    mode = "live" if livemode else "test"
    label = f"service:{mode}"
    secret = base64.urlsafe_b64encode(derive(label, 32)).decode().rstrip("=")
    row = ServiceCaller(
        id=demo_id(label),
        name=f"Demo service ({mode})",
        key_id=f"{SERVICE_KEY}_{mode}",
        secret_sealed=secret,
        scopes=sorted(policies.SERVICE_SCOPES),
        livemode=livemode,
    )
    plan.rows.append(row)
    plan.callers.append({"key_id": row.key_id, "secret": secret})


class _Seed:
    """What the audit record of a seed is about: all its rows, of several tenants."""

    public_id = "demo"

    def tenancy(self) -> Tenancy:
        return Tenancy()


def _store(plan: _Plan) -> None:
    """Insert the rows that are missing, then the authenticators of people without one."""
    with tenant_atomic(Scope.staff()):
        _lock()
        _leave_out_strangers(plan)
        missing = [row for row in plan.rows if not _exists(row)]
        writes = Writes()
        for row in missing:
            if isinstance(row, User):
                row.password = make_password(row.password.removeprefix("demo:"))
            elif isinstance(row, ServiceCaller):
                row.secret_sealed = callers.seal_secret(row.secret_sealed, caller_id=row.id)
            writes.insert(row)
        if missing:
            writes.record(
                _Seed(),
                action="demo.seeded",
                event=None,
                actor=ACTOR,
                after={"rows": len(missing)},
                also=missing,
            )
        writes.flush()
    with tenant_atomic(Scope.auth()):
        _lock()
        enrolled = set(
            TotpDevice.objects.filter(user__in=[user for user, _ in plan.devices]).values_list(
                "user_id", flat=True
            )
        )
        TotpDevice.objects.bulk_create(
            TotpDevice(
                user=user,
                name="Authenticator app",
                confirmed=True,
                secret_sealed=totp.seal_secret(secret, user_id=user.id),
            )
            for user, secret in plan.devices
            if user.id not in enrolled
        )


def _exists(row: Any) -> bool:
    """Whether the row is there, under its own id or as what the database holds only once."""
    same = Q(pk=row.pk)
    if isinstance(row, Membership):
        # A member who was removed and invited again sits there under another id.
        names = ("user_id", "platform_id", "reseller_id", "merchant_id")
        same |= Q(**{name: getattr(row, name) for name in names})
    return bool(type(row).objects.filter(same).exists())


def _leave_out_strangers(plan: _Plan) -> None:
    """Leave out a demo person whose address belongs to a person who joined by invitation."""
    people = {row.email: row.id for row in plan.rows if isinstance(row, User)}
    found = User.objects.filter(email__in=people).values_list("email", "id")
    taken = {people[email] for email, user_id in found if user_id != people[email]}
    plan.rows = [
        row
        for row in plan.rows
        if not (isinstance(row, User) and row.id in taken)
        and not (isinstance(row, Membership) and row.user_id in taken)
    ]
    plan.devices = [(user, secret) for user, secret in plan.devices if user.id not in taken]


def _lock() -> None:
    """Serialise two seeds at once, for the length of the transaction."""
    fetch_one("SELECT pg_advisory_xact_lock(727421)")
