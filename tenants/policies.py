"""Every permission question of the product, and the only place that answers one.

How it works. A *permission* is a dotted name (``payments.refund``). ``PERMISSIONS`` says, as data,
which roles hold it on which level of the tree. When a person authenticates, ``effective()`` turns
the role (or an API key's scopes) into the frozen set of permissions that goes into
``Actor.scopes``; from then on a question is a set look-up plus "is this object of my tenant".

Faces ask it, before they call a service: ``permissions`` of an API view, ``portal_view("…")``, the
``permission`` of an admin action. Services ask only what depends on the row: whose it is
(``require_own``), and who may act on which person (``may_act``).

    can(actor, "team.write")    # whether an actor holds a permission

Rules that are not in the table:

* another tenant's object does not exist (``NotFound``), nor does one of the other mode;
* a developer holds nothing in live mode;
* permissions marked ``second_factor`` are left out of a session that has passed no second factor;
* who may do what to which person is the second table, ``PEOPLE``;
* a reseller's agent holds what the role gives, on the granted merchants only
  (``sql/tenants_seats.sql``, django-guardian).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import Final
from uuid import UUID

from core import errors
from core.context import Actor
from core.models import Entity
from tenants.models import Level, Role, TenantStatus

OWNER, ADMIN, DEVELOPER, VIEWER = Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.VIEWER
COMPLIANCE, FINANCE, SUPPORT = Role.COMPLIANCE, Role.FINANCE, Role.SUPPORT

EVERYONE: Final = frozenset({OWNER, ADMIN, DEVELOPER, VIEWER})
BUILDERS: Final = frozenset({OWNER, ADMIN, DEVELOPER})
MANAGERS: Final = frozenset({OWNER, ADMIN})
STAFF: Final = frozenset({COMPLIANCE, FINANCE, SUPPORT})
NO_ONE: Final[frozenset[Role]] = frozenset()

# Held by platform staff alone: opens the admin.
STAFF_PERMISSION: Final = "platform.staff"


@dataclass(frozen=True, slots=True)
class Permission:
    """One row: which roles hold it per level, and whether a second factor is a condition."""

    merchant: frozenset[Role] = NO_ONE
    reseller: frozenset[Role] = NO_ONE
    platform: frozenset[Role] = NO_ONE
    second_factor: bool = False
    key_kinds: frozenset[str] = field(default_factory=lambda: frozenset({"sk", "rk"}))

    def roles(self, level: str) -> frozenset[Role]:
        """The roles that hold this permission on ``level``."""
        match level:
            case Level.MERCHANT:
                return self.merchant
            case Level.RESELLER:
                return self.reseller
            case Level.PLATFORM:
                return self.platform
        return NO_ONE


_PERSONS_ONLY: Final[frozenset[str]] = frozenset()
_PUBLIC: Final = frozenset({"sk", "rk", "pk"})

PERMISSIONS: Final[Mapping[str, Permission]] = {
    # Money in
    "payments.read": Permission(EVERYONE, EVERYONE, STAFF),
    "payments.create": Permission(BUILDERS, second_factor=True),
    "payments.capture": Permission(BUILDERS, second_factor=True),
    "payments.cancel": Permission(BUILDERS, second_factor=True),
    "payments.refund": Permission(BUILDERS, second_factor=True),
    "payments.export": Permission(EVERYONE, EVERYONE, frozenset({FINANCE, COMPLIANCE})),
    "refunds.read": Permission(EVERYONE, EVERYONE, STAFF),
    "customers.read": Permission(EVERYONE, EVERYONE, STAFF),
    "customers.write": Permission(BUILDERS),
    "payment_methods.read": Permission(EVERYONE, EVERYONE, STAFF),
    "payment_methods.write": Permission(BUILDERS),
    "tokens.create": Permission(BUILDERS, key_kinds=_PUBLIC),
    "checkout.read": Permission(EVERYONE, EVERYONE, STAFF),
    "checkout.write": Permission(BUILDERS),
    # The kernel, for trusted service callers
    "intents.read": Permission(EVERYONE, NO_ONE, STAFF),
    "intents.create": Permission(NO_ONE, key_kinds=_PERSONS_ONLY),
    # Books
    "balance.read": Permission(EVERYONE, EVERYONE, STAFF),
    "ledger.read": Permission(EVERYONE, EVERYONE, STAFF),
    # How a fee is shared between platform and reseller; a merchant sees one fee (ADR 0040).
    "fee_split.read": Permission(NO_ONE, EVERYONE, STAFF, key_kinds=_PERSONS_ONLY),
    # Events out
    "webhooks.read": Permission(EVERYONE, NO_ONE, frozenset({SUPPORT})),
    "webhooks.write": Permission(BUILDERS),
    "events.read": Permission(EVERYONE, NO_ONE, frozenset({SUPPORT})),
    "events.resend": Permission(BUILDERS, NO_ONE, frozenset({SUPPORT})),
    # Developers
    "keys.read": Permission(BUILDERS),
    "keys.write": Permission(BUILDERS, second_factor=True),
    "requests.read": Permission(BUILDERS, NO_ONE, frozenset({SUPPORT})),
    # Tenants and people
    "team.read": Permission(EVERYONE, EVERYONE, STAFF),
    "team.write": Permission(MANAGERS, MANAGERS, second_factor=True, key_kinds=_PERSONS_ONLY),
    "merchants.read": Permission(EVERYONE, EVERYONE, STAFF),
    "merchants.write": Permission(
        NO_ONE, MANAGERS, frozenset({COMPLIANCE}), second_factor=True, key_kinds=_PERSONS_ONLY
    ),
    "settings.read": Permission(EVERYONE, EVERYONE, STAFF),
    "settings.write": Permission(MANAGERS, MANAGERS, second_factor=True, key_kinds=_PERSONS_ONLY),
    # The platform's own staff
    STAFF_PERMISSION: Permission(platform=STAFF, key_kinds=_PERSONS_ONLY),
    "platform.tenants.write": Permission(
        platform=frozenset({COMPLIANCE}), second_factor=True, key_kinds=_PERSONS_ONLY
    ),
    "platform.users.write": Permission(
        platform=frozenset({SUPPORT, COMPLIANCE}), second_factor=True, key_kinds=_PERSONS_ONLY
    ),
    # Confirms what others propose to do to the platform's own people (PEOPLE).
    "platform.users.confirm": Permission(
        platform=STAFF, second_factor=True, key_kinds=_PERSONS_ONLY
    ),
    "platform.money.write": Permission(
        platform=frozenset({FINANCE}), second_factor=True, key_kinds=_PERSONS_ONLY
    ),
    "platform.operations.write": Permission(
        platform=frozenset({SUPPORT, FINANCE}), second_factor=True, key_kinds=_PERSONS_ONLY
    ),
}


class PersonAction(StrEnum):
    """What may be done to a person, or to the person's membership."""

    INVITE = "invite"
    CHANGE_ROLE = "change_role"
    REMOVE = "remove"
    BIND_AGENT = "bind_agent"
    SEND_RESET = "send_reset"
    DEACTIVATE = "deactivate"
    ACTIVATE = "activate"
    RESET_SECOND_FACTOR = "reset_second_factor"


@dataclass(frozen=True, slots=True)
class Acts:
    """Who may do one thing to a person of one role.

    `alone` does it at once. `proposes` asks for it, and a second person, of `confirms`, lets it
    happen; neither is ever the person whom it is about.
    """

    alone: frozenset[Role] = NO_ONE
    proposes: frozenset[Role] = NO_ONE
    confirms: frozenset[Role] = NO_ONE

    def and_also(self, other: Acts) -> Acts:
        """What holds for a person to whom both rules apply."""
        confirmed = self.confirms & other.confirms
        return Acts(
            alone=self.alone & other.alone,
            proposes=(self.alone | self.proposes) & (other.alone | other.proposes),
            # A rule that needs no second person has nothing to say about who that is.
            confirms=confirmed or self.confirms or other.confirms,
        )


_OWNERS: Final = frozenset({OWNER})
_HELPERS: Final = frozenset({SUPPORT, COMPLIANCE})
_OVERSEERS: Final = frozenset({COMPLIANCE, FINANCE})
_PEOPLE_OF_TENANTS: Final = (OWNER, ADMIN, DEVELOPER, VIEWER)
_OWNERS_NAME_OWNERS: Final[Mapping[Role, Acts]] = {
    OWNER: Acts(alone=_OWNERS),
    **{role: Acts(alone=MANAGERS) for role in (ADMIN, DEVELOPER, VIEWER)},
}
_STAFF_HELPS_TENANTS: Final[Mapping[Role, Acts]] = {
    role: Acts(alone=_HELPERS) for role in _PEOPLE_OF_TENANTS
}
#: Staff need a second person to keep a colleague out or to take a second factor away; compliance
#: needs none for support.
_TWO_PERSONS: Final[Mapping[Role, Acts]] = {
    SUPPORT: Acts(alone=frozenset({COMPLIANCE}), proposes=frozenset({SUPPORT}), confirms=_HELPERS),
    FINANCE: Acts(proposes=_HELPERS, confirms=_OVERSEERS),
    COMPLIANCE: Acts(proposes=_HELPERS, confirms=_OVERSEERS),
}
_STAFF_ACTS: Final[Mapping[Role, Acts]] = {**_STAFF_HELPS_TENANTS, **_TWO_PERSONS}

#: Who may act on whom: by the actor's level and the action, then by the role that the other has
#: (of an invitation or a new role: will have). No one may act on a role that is not named.
#: Below the platform, people act within their own tenant; a reseller also invites a merchant's
#: first owner, where there is none. docs/access.md prints it.
PEOPLE: Final[Mapping[tuple[Level, PersonAction], Mapping[Role, Acts]]] = {
    **{
        (level, action): _OWNERS_NAME_OWNERS
        for level in (Level.MERCHANT, Level.RESELLER)
        for action in (PersonAction.INVITE, PersonAction.CHANGE_ROLE, PersonAction.REMOVE)
    },
    (Level.RESELLER, PersonAction.BIND_AGENT): {
        role: Acts(alone=MANAGERS) for role in (ADMIN, DEVELOPER, VIEWER)
    },
    (Level.PLATFORM, PersonAction.SEND_RESET): {
        role: Acts(alone=_HELPERS) for role in (*_PEOPLE_OF_TENANTS, *STAFF)
    },
    (Level.PLATFORM, PersonAction.DEACTIVATE): _STAFF_ACTS,
    (Level.PLATFORM, PersonAction.ACTIVATE): _STAFF_ACTS,
    (Level.PLATFORM, PersonAction.RESET_SECOND_FACTOR): _STAFF_ACTS,
    (Level.PLATFORM, PersonAction.CHANGE_ROLE): {
        role: Acts(proposes=_HELPERS, confirms=_OVERSEERS)
        for role in (SUPPORT, FINANCE, COMPLIANCE)
    },
}

#: Who may give a merchant or a reseller a status. An activation opens live mode, so it takes two.
TENANT_STATUS: Final[Mapping[TenantStatus, Acts]] = {
    TenantStatus.ACTIVE: Acts(proposes=frozenset({COMPLIANCE}), confirms=_OVERSEERS),
    TenantStatus.SUSPENDED: Acts(alone=frozenset({COMPLIANCE})),
    TenantStatus.CLOSED: Acts(alone=frozenset({COMPLIANCE})),
}

# What an HMAC service caller may be given.
SERVICE_SCOPES: Final = frozenset({"intents.create", "intents.read"})


def _table(*, second_factor: bool) -> dict[tuple[str, str], frozenset[str]]:
    """Permissions by (level, role), worked out once at import."""
    return {
        (level, role): frozenset(
            name
            for name, row in PERMISSIONS.items()
            if role in row.roles(level) and (second_factor or not row.second_factor)
        )
        for level in Level.values
        for role in Role.values
    }


_BY_ROLE: Final = {True: _table(second_factor=True), False: _table(second_factor=False)}
_BY_KEY_KIND: Final = {
    kind: frozenset(name for name, row in PERMISSIONS.items() if kind in row.key_kinds)
    for kind in ("sk", "rk", "pk")
}


def may_use_live_mode(role: str) -> bool:
    """Whether a role may use live mode; developers work in test mode only."""
    return role != DEVELOPER


def effective(*, level: str, role: str, livemode: bool, second_factor: bool) -> frozenset[str]:
    """The permissions of a person in one tenant, in one mode."""
    if livemode and not may_use_live_mode(role):
        return frozenset()
    return _BY_ROLE[second_factor].get((level, role), frozenset())


def key_permissions(*, kind: str, scopes: Iterable[str]) -> frozenset[str]:
    """The permissions of an API key: a restricted one holds what its scopes name.

    A secret key without scopes holds everything that its kind may; a publishable key tokenises.
    """
    allowed = _BY_KEY_KIND.get(kind, frozenset())
    named = frozenset(scopes)
    if kind == "rk" or named:
        return allowed & expand_scopes(named)
    return allowed


def expand_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Replace ``payments.*`` by the permissions that it covers."""
    names: set[str] = set()
    for scope in scopes:
        if scope.endswith(".*"):
            names.update(name for name in PERMISSIONS if name.startswith(scope[:-1]))
        else:
            names.add(scope)
    return frozenset(names)


def check_scopes(scopes: Iterable[str], *, kind: str) -> list[str]:
    """The scopes, sorted and once each; InvalidRequest for one that ``kind`` cannot hold."""
    cleaned = sorted(set(scopes))
    allowed = _BY_KEY_KIND.get(kind, frozenset())
    for scope in cleaned:
        if not expand_scopes([scope]) & allowed:
            raise errors.InvalidRequest(
                f"The scope {scope!r} is unknown or not available to this kind of key.",
                code="scope_unknown",
                param="scopes",
            )
    return cleaned


def can(actor: Actor, permission: str, obj: Entity | None = None) -> bool:
    """Whether ``actor`` holds ``permission`` and, given an object, may touch it.

    Raises KeyError for a permission that the table does not know: a typo must not read as "no".
    """
    if permission not in PERMISSIONS:
        raise KeyError(f"{permission!r} is not in tenants.policies.PERMISSIONS.")
    if actor.kind == "system":
        return True
    return permission in actor.scopes and (obj is None or owns(actor, obj))


def require_own(actor: Actor, obj: Entity) -> None:
    """Raise NotFound for an object of another tenant or mode."""
    if not owns(actor, obj):
        raise errors.NotFound("There is no such object.", code="not_found")


def acts_on(*, level: str, action: PersonAction, roles: Collection[str]) -> Acts:
    """Who of a level may do something to a person who has all of `roles`.

    The strictest rule counts. A person without any role counts as a tenant's viewer.
    """
    rules = PEOPLE.get((Level(level), action), {})
    found = [rules.get(Role(role), Acts()) for role in (set(roles) or {VIEWER})]
    return reduce(Acts.and_also, found)


def level_of(actor: Actor) -> Level:
    """The level of the tree on which a person acts."""
    if actor.merchant_id is not None:
        return Level.MERCHANT
    return Level.RESELLER if actor.reseller_id is not None else Level.PLATFORM


def may_act(actor: Actor, action: PersonAction, *roles: str) -> bool:
    """Whether the actor may do it to a person of these roles, without a second person."""
    if actor.kind == "system":
        return True
    return actor.role in acts_on(level=level_of(actor), action=action, roles=roles).alone


def merchant_of(actor: Actor) -> UUID:
    """The actor's merchant. Raises PermissionDenied for an actor above merchants."""
    if actor.merchant_id is None:
        raise errors.PermissionDenied("Only a merchant has this.", code="merchant_required")
    return actor.merchant_id


def owns(actor: Actor, obj: Entity) -> bool:
    """Whether ``obj`` is of the actor's tenant and mode (staff and system are above both)."""
    if actor.kind == "system" or actor.platform:
        return True
    merchant_id, reseller_id, livemode = obj.tenancy()
    if actor.merchant_id is not None:
        ours = merchant_id == actor.merchant_id
    elif actor.reseller_id is not None:
        ours = reseller_id == actor.reseller_id
    else:
        # A service caller that is bound to no merchant; the body names one.
        ours = actor.kind == "service"
    return ours and (livemode is None or livemode == actor.livemode)
