"""Limits that slow guesses and do not lock owners out.

| counter | counts | applies to |
| --- | --- | --- |
| pair | one account from one network | everyone without a known browser |
| address | one network, whatever the account | the same |
| account | one account from anywhere | the same, from a network that the account has not used |
| device | one account in one browser | browsers from which the account has logged in |

So an attacker's guesses slow the attacker, and together those from places that the account never
used. An owner who is slowed at one of those asks for a sign-in link by mail: it makes the browser
that opens it a known one. Password and second factor are still needed there.

An address without an account is treated as one with, or the answers would distinguish them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from core import ids
from core.attempts import (
    Counter,
    Throttle,
    attempts_forget,
    attempts_give_back,
    attempts_take,
)
from core.db import Scope, fetch_all, tenant_atomic
from core.unit import Writes
from tenants import keys
from tenants.places import UNKNOWN_NETWORK, Place

Step = Literal["login", "otp"]

#: A network that was not used for this long may belong to others by now.
NETWORK_KNOWN_FOR: Final = timedelta(days=90)
DEVICE_KNOWN_FOR: Final = timedelta(days=180)
_PURPOSE: Final = "known_place"


def _throttles(step: Step, *, max_delay_s: int) -> dict[str, Throttle]:
    """The four counters of a step; `max_delay_s` holds for one account."""

    def slowed(name: str, *, free: int) -> Throttle:
        return Throttle(
            f"{step}_{name}", free=free, first_delay_s=1, max_delay_s=max_delay_s, leak_s=600
        )

    return {
        "pair": slowed("pair", free=5),
        "device": slowed("device", free=5),
        "account": slowed("account", free=20),
        # A whole office, or a carrier's NAT, may share one address.
        "address": Throttle(
            f"{step}_address", free=100, first_delay_s=1, max_delay_s=120, leak_s=30
        ),
    }


#: Three of the six-digit codes are right at any moment: guesses of a code are slowed for longer.
THROTTLES: Final[dict[Step, dict[str, Throttle]]] = {
    "login": _throttles("login", max_delay_s=300),
    "otp": _throttles("otp", max_delay_s=900),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A counted try: `own` belongs to this account and place, `shared` is counted by others too."""

    own: tuple[Counter, ...]
    shared: tuple[Counter, ...]


def attempt_begin(*, step: Step, account: str, user_id: UUID | None, place: Place) -> Attempt:
    """Count a try before it is checked, so that many at once do not all pass.

    Args:
        account: the e-mail address as normalised; counted whether or not an account has it.
        user_id: whose account that is, None without an account.

    Raises:
        RateLimited: too early; nothing may be checked.
    """
    found = counters(
        step=step, account=account, known=known_kinds(user_id=user_id, place=place), place=place
    )
    attempts_take(*found.own, *found.shared)
    return found


def counters(*, step: Step, account: str, known: frozenset[str], place: Place) -> Attempt:
    """The counters of a try of an account, from a place of which `known` kinds are known."""
    throttles = THROTTLES[step]
    if "device" in known:
        return Attempt(own=((throttles["device"], f"{account} {place.device}"),), shared=())
    pair = (throttles["pair"], f"{account} {place.network}")
    shared: tuple[Counter, ...] = ((throttles["address"], place.network),)
    if "network" not in known:
        shared += ((throttles["account"], account),)
    return Attempt(own=(pair,), shared=shared)


def attempt_right(attempt: Attempt) -> None:
    """The try was right: its own counters start over, and the shared ones forgive this one."""
    attempts_forget(*attempt.own)
    attempts_give_back(*attempt.shared)


def account_forget(*, account: str) -> None:
    """Forgive guesses at an account from anywhere: its owner has set a new password."""
    attempts_forget(*((THROTTLES[step]["account"], account) for step in THROTTLES))


def known_kinds(*, user_id: UUID | None, place: Place) -> frozenset[str]:
    """``network``, ``device`` or both: from what of this place the account has logged in before.

    Without an account the look-up is made as well, at the same cost.
    """
    person = user_id or UUID(int=0)
    looked_up = [
        *_digests(person, "network", place.network),
        *(_digests(person, "device", place.device) if place.device else ()),
    ]
    with tenant_atomic(Scope.auth()):
        rows = fetch_all(
            "SELECT DISTINCT kind FROM tenants_knownplace"
            " WHERE user_id = %s AND digest = ANY(%s) AND expires_at > clock_timestamp()",
            [person, looked_up],
        )
    return frozenset(row[0] for row in rows)


def place_remember(writes: Writes, *, user_id: UUID, place: Place) -> None:
    """Add to a unit of work that the account has logged in from here."""
    if place.network != UNKNOWN_NETWORK:
        _remember(writes, user_id, "network", place.network, lifetime=NETWORK_KNOWN_FOR)
    if place.device:
        device_remember(writes, user_id=user_id, device=place.device, lifetime=DEVICE_KNOWN_FOR)


def device_remember(writes: Writes, *, user_id: UUID, device: str, lifetime: timedelta) -> None:
    """Add to a unit of work that the account's owner uses this browser."""
    _remember(writes, user_id, "device", device, lifetime=lifetime)


def _remember(writes: Writes, user_id: UUID, kind: str, text: str, *, lifetime: timedelta) -> None:
    writes.sql(
        "INSERT INTO tenants_knownplace AS p"
        " (id, created_at, user_id, kind, digest, seen_at, expires_at)"
        " VALUES (%s, now(), %s, %s, %s, now(), now() + %s)"
        " ON CONFLICT ON CONSTRAINT tenants_knownplace_once DO UPDATE"
        " SET seen_at = now(), expires_at = greatest(p.expires_at, excluded.expires_at)"
        " RETURNING 1",
        [ids.new_id(), user_id, kind, _digests(user_id, kind, text)[0], lifetime],
    )


def places_forget(writes: Writes, *, user_id: UUID) -> None:
    """Add to a unit of work that no place of the account is known any more."""
    writes.sql("DELETE FROM tenants_knownplace WHERE user_id = %s RETURNING 1", [user_id])


def _digests(user_id: UUID, kind: str, text: str) -> list[bytes]:
    """How a place of an account is stored, under every pepper, newest first."""
    return keys.digests(f"{user_id}:{text}", purpose=f"{_PURPOSE}.{kind}")
