"""A seat: one person in one tenant in one mode, as a session or a token has chosen it."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db import connection

from core.context import Actor
from core.db import Scope
from tenants import policies
from tenants.models import Level, User
from tenants.selectors import has_confirmed_totp

SESSION_MEMBERSHIP: Final = "seat_membership"
SESSION_MERCHANT: Final = "seat_merchant"
SESSION_LIVEMODE: Final = "seat_livemode"


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's seat: the membership, the tenant it opens, and the chosen mode.

    ``merchant_id`` and ``reseller_id`` name the tenant: a merchant seat has both, a reseller seat
    the latter, a platform seat none. ``default_currency`` is empty above merchants.
    """

    membership_id: UUID
    level: str
    role: str
    platform_id: UUID | None
    reseller_id: UUID | None
    merchant_id: UUID | None
    tenant_name: str
    tenant_status: str
    default_currency: str
    livemode: bool = False

    @property
    def tenant_id(self) -> UUID:
        """The id of the tenant on the seat's own level."""
        chosen = {
            Level.PLATFORM.value: self.platform_id,
            Level.RESELLER.value: self.reseller_id,
            Level.MERCHANT.value: self.merchant_id,
        }[self.level]
        if chosen is None:  # refused by a check constraint on memberships
            raise ValueError("A membership names no tenant on its own level.")
        return chosen

    @property
    def key(self) -> str:
        """What the tenant switcher posts: membership and tenant (an agent has many)."""
        return f"{self.membership_id}.{self.tenant_id}"

    @property
    def mark(self) -> str:
        """Seat and mode in one text: what a page was made for, and its forms send back."""
        return f"{self.key}.{'live' if self.livemode else 'test'}"

    @property
    def may_use_live_mode(self) -> bool:
        """Whether the mode switch is offered."""
        return policies.may_use_live_mode(self.role)

    def scope(self) -> Scope:
        """The database scope of this seat."""
        if self.level == Level.MERCHANT and self.merchant_id is not None:
            return Scope.merchant(self.merchant_id)
        if self.level == Level.RESELLER and self.reseller_id is not None:
            return Scope.reseller(self.reseller_id)
        return Scope.staff()

    def permissions(self, *, second_factor: bool) -> frozenset[str]:
        """What the person may do from this seat."""
        return policies.effective(
            level=self.level, role=self.role, livemode=self.livemode, second_factor=second_factor
        )

    def actor(self, *, user: User, second_factor: bool, ip: str | None) -> Actor:
        """The actor for services, policies and the audit log."""
        return Actor(
            kind="user",
            id=user.public_id,
            label=user.email,
            merchant_id=self.merchant_id,
            reseller_id=self.reseller_id,
            platform=self.level == Level.PLATFORM,
            role=self.role,
            livemode=self.livemode,
            scopes=self.permissions(second_factor=second_factor),
            ip=ip,
            user_id=user.id,
        )


def seats_of(*, user_id: UUID, search: str = "", limit: int | None = None) -> list[Seat]:
    """The seats of a person, own memberships first, then an agent's granted merchants.

    ``search`` is part of the tenant's name; an agent may have thousands of seats.
    """
    return _query(user_id, None, None, search=search, limit=limit)


def find_seat(
    *, user_id: UUID, membership_id: UUID, merchant_id: UUID | None = None
) -> Seat | None:
    """The seat of one membership (and, for an agent, one granted merchant), or ``None``."""
    found = _query(user_id, membership_id, merchant_id)
    return found[0] if found else None


def _query(
    user_id: UUID,
    membership_id: UUID | None,
    merchant_id: UUID | None,
    *,
    search: str = "",
    limit: int | None = None,
) -> list[Seat]:
    """One call of the look-up function, which may read memberships before a scope is known."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT membership_id, level, role, platform_id, reseller_id, merchant_id, "
            "tenant_name, tenant_status, default_currency FROM tenants_seats(%s, %s, %s) "
            "WHERE strpos(lower(tenant_name), lower(%s)) > 0 LIMIT %s",
            [user_id, membership_id, merchant_id, search, limit],
        )
        return [Seat(*row) for row in cursor.fetchall()]


def resolve_seat(*, user_id: UUID, session: MutableMapping[str, Any]) -> Seat | None:
    """The seat that the session chose, else the first one; ``None`` for a person without any.

    A membership that was taken away since is gone with the next request: nothing is cached. A seat
    whose role may not use live mode is always in test mode.
    """
    membership_id = _uuid(session.get(SESSION_MEMBERSHIP))
    seat: Seat | None = None
    if membership_id is not None:
        seat = find_seat(
            user_id=user_id,
            membership_id=membership_id,
            merchant_id=_uuid(session.get(SESSION_MERCHANT)),
        )
    if seat is None:
        offered = seats_of(user_id=user_id)
        if not offered:
            return None
        seat = offered[0]
        take_seat(session, seat)
    livemode = bool(session.get(SESSION_LIVEMODE, False)) and seat.may_use_live_mode
    return replace(seat, livemode=livemode)


def take_seat(session: MutableMapping[str, Any], seat: Seat) -> None:
    """Remember the seat in the session; the mode falls back to test."""
    session[SESSION_MEMBERSHIP] = str(seat.membership_id)
    session[SESSION_MERCHANT] = None if seat.merchant_id is None else str(seat.merchant_id)
    session[SESSION_LIVEMODE] = False


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value)) if value else None
    except ValueError:
        return None


def second_factor_due(*, user: User, seat: Seat) -> bool:
    """Whether this person may not go on without a second factor.

    Staff and owners always need one; a person who has enrolled one is always asked for it.
    """
    return user.is_staff or seat.role == "owner" or has_second_factor(user)


def has_second_factor(user: User) -> bool:
    """Whether the person has confirmed an authenticator app."""
    return has_confirmed_totp(user_id=user.id)
