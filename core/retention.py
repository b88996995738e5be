"""How long the kernel keeps its rows; the purge runs hourly and deletes in short transactions."""

from __future__ import annotations

from typing import Final

from django.db import connection

from core.db import Scope, tenant_atomic

CHUNK: Final = 5_000

# Table → the condition under which a row has served. Outbox rows back GET /v1/events.
_RULES: Final = {
    "core_usednonce": "seen_at < clock_timestamp() - interval '900 s'",
    "core_attemptcounter": "expires_at < clock_timestamp()",
    "core_idempotencyrecord": "created_at < clock_timestamp() - interval '30 days'",
    "core_requestlog": "created_at < clock_timestamp() - interval '30 days'",
    "core_outboxevent": (
        "delivered_at IS NOT NULL AND created_at < clock_timestamp() - interval '30 days'"
    ),
    "core_inboxmessage": (
        "state = 'processed' AND received_at < clock_timestamp() - interval '30 days'"
    ),
}


def purge_expired() -> dict[str, int]:
    """Delete what has outlived its time; return how many rows of each table."""
    return {table: _purge(table, condition) for table, condition in _RULES.items()}


def _purge(table: str, condition: str) -> int:
    total = 0
    while True:
        with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
            # Both names come from the table above, never from outside.
            cursor.execute(
                f"DELETE FROM {table} WHERE id IN"  # noqa: S608
                f" (SELECT id FROM {table} WHERE {condition} LIMIT %s)",
                [CHUNK],
            )
            deleted = int(cursor.rowcount)
        total += deleted
        if deleted < CHUNK:
            return total
