"""Places to log in from: an address of its own for each, so that tests share no counter."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any

from core.attempts import Counter, subject_digest
from core.db import Scope, fetch_all, tenant_atomic
from tenants.places import Place


def new_address() -> str:
    """One of the addresses that never leave a network (RFC 4193), in a /64 of its own."""
    return str(ipaddress.IPv6Address((0xFD << 120) | (secrets.randbits(56) << 64) | 1))


def make_place(*, device: str = "") -> Place:
    """A place from which nobody has logged in."""
    address = new_address()
    network = str(ipaddress.ip_network((address, 64), strict=False))
    return Place(ip=address, network=network, device=device)


def shift_throttle(counter: Counter, *, by_s: int) -> None:
    """Move a counter's times into the future or (a negative number) the past."""
    _update(
        "free_at = free_at + %s * interval '1 s', counted_at = counted_at + %s * interval '1 s'",
        [by_s, by_s],
        counter,
    )


def throttle_level(counter: Counter) -> int:
    """The attempts that stand on a counter; 0 where there is none."""
    with tenant_atomic(Scope.auth()):
        rows = fetch_all(
            "SELECT level FROM core_attemptthrottle WHERE kind = %s AND subject = %s",
            [counter[0].kind, subject_digest(counter[1])],
        )
    return int(rows[0][0]) if rows else 0


def _update(assignments: str, params: list[Any], counter: Counter) -> None:
    with tenant_atomic(Scope.auth()):
        fetch_all(
            f"UPDATE core_attemptthrottle SET {assignments}"
            " WHERE kind = %s AND subject = %s RETURNING 1",
            [*params, counter[0].kind, subject_digest(counter[1])],
        )
