"""How long rows are kept; the purge runs hourly and deletes in short transactions."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.ids import first_id

CHUNK: Final = 5_000
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` that meet `condition` may go; with `kept`, only once their id is older.

    Ids are time-ordered (UUIDv7), so the age is a range of the primary key and needs no index of
    its own. Both texts are code, never input. `pk` is the primary key; `scoped` is False for a
    framework's table that no scope may touch, from which the login role deletes.
    """

    table: str
    condition: str
    kept: timedelta | None = KEPT
    pk: str = "id"
    scoped: bool = True


_rules: list[Rule] = [
    Rule("core_usednonce", "seen_at < clock_timestamp() - interval '900 s'", kept=None),
    Rule("core_attemptthrottle", "expires_at < clock_timestamp()", kept=None),
    Rule("core_idempotencyrecord", "(status IS NOT NULL OR locked_until < clock_timestamp())"),
    Rule("core_requestlog", "true"),
    # These rows are also what GET /v1/events reads.
    Rule("core_outboxevent", "delivered_at IS NOT NULL"),
    Rule("core_inboxmessage", "state = 'processed'"),
]


def register_rule(rule: Rule) -> None:
    """Add a table of a higher room; who deletes there needs SELECT and DELETE on it."""
    if rule not in _rules:
        _rules.append(rule)


def purge_expired() -> dict[str, int]:
    """Delete what has outlived its time; return how many rows of each table."""
    return {rule.table: _purge(rule) for rule in _rules}


def _purge(rule: Rule) -> int:
    where, params = rule.condition, []
    if rule.kept is not None:
        where, params = f"id < %s AND {where}", [first_id(timezone.now() - rule.kept)]
    total = 0
    while True:
        scope = tenant_atomic(Scope.worker()) if rule.scoped else contextlib.nullcontext()
        with scope, connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {rule.table} WHERE {rule.pk} IN"  # noqa: S608 - rules of ours
                f" (SELECT {rule.pk} FROM {rule.table} WHERE {where} LIMIT %s)",
                [*params, CHUNK],
            )
            deleted = int(cursor.rowcount)
        total += deleted
        if deleted < CHUNK:
            return total
