"""The relay: claims committed events, hands them to subscribers, marks them delivered.

A claim takes events that are neither delivered nor leased (`FOR UPDATE SKIP LOCKED`), leases them
for a minute, counts the attempt and commits; only then do handlers run, and then the events are
marked. A relay that dies in between loses nothing: the lease runs out and another one delivers the
events again. There is no high-water mark over ids, for a transaction that commits late would fall
below it. Any number of relays may run; claims are made one at a time, so that two relays never hold
events of one aggregate at once. The relay polls (ADR 0011) and also seals the audit log (ADR 0010).
"""

from __future__ import annotations

import random
import threading
import time
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections

from core import metrics, outbox
from core.audit import seal_audit_records
from core.db import Scope, fetch_one, tenant_atomic
from core.models import OutboxEvent

log = structlog.get_logger(__name__)

BATCH: Final = 200
LEASE_S: Final = 60
POLL_S: Final = 0.1
SEAL_EVERY_S: Final = 1.0
MAX_ATTEMPTS: Final = 12
BACKOFF_MAX_S: Final = 300
RECONNECT_MAX_S: Final = 5.0

_CLAIM_LOCK: Final = 727_411
# An event whose aggregate has an earlier one under somebody's lease (or in its back-off) waits.
_CLAIM: Final = """
UPDATE core_outboxevent AS claimed
   SET attempts = claimed.attempts + 1,
       leased_until = clock_timestamp() + make_interval(secs => %s)
 WHERE claimed.id IN (
   SELECT o.id FROM core_outboxevent AS o
    WHERE o.delivered_at IS NULL AND o.quarantined_at IS NULL
      AND (o.leased_until IS NULL OR o.leased_until < clock_timestamp())
      AND NOT EXISTS (
        SELECT 1 FROM core_outboxevent AS earlier
         WHERE earlier.aggregate = o.aggregate AND earlier.id < o.id
           AND earlier.delivered_at IS NULL AND earlier.quarantined_at IS NULL
           AND earlier.leased_until >= clock_timestamp())
    ORDER BY o.id LIMIT %s FOR UPDATE OF o SKIP LOCKED)
RETURNING claimed.*
"""
_LAG: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
  FROM core_outboxevent
 WHERE delivered_at IS NULL AND quarantined_at IS NULL
   AND (leased_until IS NULL OR leased_until < clock_timestamp())
"""


def relay_once(*, limit: int = BATCH) -> int:
    """Claim and deliver one batch; return how many events were claimed."""
    events = claim(limit=limit)
    if events:
        settle(events, outbox.dispatch(events))
    return len(events)


def claim(*, limit: int = BATCH) -> list[OutboxEvent]:
    """Lease up to `limit` events to this process, oldest first."""
    with tenant_atomic(Scope.worker()):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])
        events = list(OutboxEvent.objects.raw(_CLAIM, [LEASE_S, limit]))
    return sorted(events, key=lambda event: event.id)


def settle(events: list[OutboxEvent], outcome: outbox.Outcome) -> None:
    """Write down what became of a claimed batch."""
    by_id = {event.id: event for event in events}
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        if outcome.done:
            cursor.execute(
                "UPDATE core_outboxevent SET delivered_at = clock_timestamp(),"
                " leased_until = NULL, last_error = '' WHERE id = ANY(%s)",
                [outcome.done],
            )
        if outcome.skipped:
            # Not begun, so the attempt is not counted.
            cursor.execute(
                "UPDATE core_outboxevent SET leased_until = NULL, attempts = attempts - 1"
                " WHERE id = ANY(%s)",
                [outcome.skipped],
            )
        for event_id, error in outcome.failed.items():
            attempts = by_id[event_id].attempts
            given_up = attempts >= MAX_ATTEMPTS
            cursor.execute(
                "UPDATE core_outboxevent SET last_error = %s,"
                " leased_until = clock_timestamp() + make_interval(secs => %s),"
                " quarantined_at = CASE WHEN %s THEN clock_timestamp() END WHERE id = %s",
                [error.replace("\x00", ""), _backoff_s(attempts), given_up, event_id],
            )
            if given_up:
                log.error("outbox.quarantined", event_id=str(event_id), attempts=attempts)
    metrics.outbox_events.labels("delivered").inc(len(outcome.done))
    metrics.outbox_events.labels("failed").inc(len(outcome.failed))


def release_quarantined(*, event_id: str | None = None) -> int:
    """Give quarantined events (or one, by UUID) a new set of attempts; return how many."""
    with tenant_atomic(Scope.worker()):
        given_up = OutboxEvent.objects.filter(quarantined_at__isnull=False)
        if event_id:
            given_up = given_up.filter(id=event_id)
        released: int = given_up.update(quarantined_at=None, leased_until=None, attempts=0)
    return released


def relay_lag_s() -> float:
    """Age in seconds of the oldest event that waits to be claimed; 0 when none waits."""
    with tenant_atomic(Scope.worker()):
        row = fetch_one(_LAG)
    return float(row[0]) if row else 0.0


def quarantined_count() -> int:
    """How many events were given up and need a person."""
    with tenant_atomic(Scope.worker()):
        return OutboxEvent.objects.filter(quarantined_at__isnull=False).count()


def run(stop: threading.Event) -> None:
    """Deliver until `stop` is set; a lost database is waited for, with growing pauses."""
    pause_s = POLL_S
    next_seal = 0.0
    log.info("relay.started")
    while not stop.is_set():
        try:
            claimed = relay_once()
            if time.monotonic() >= next_seal:
                _seal()
                next_seal = time.monotonic() + SEAL_EVERY_S
            pause_s = POLL_S
            if claimed < BATCH:
                stop.wait(POLL_S)
        except (DatabaseError, InterfaceError) as error:
            log.warning("relay.database_lost", error_type=type(error).__name__, exc_info=error)
            _drop_connections()
            stop.wait(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            pause_s = min(pause_s * 2, RECONNECT_MAX_S)
    log.info("relay.stopped")


def _seal() -> None:
    try:
        seal_audit_records()
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:
        # A damaged chain must not keep events from being delivered; the verifier tells of it.
        log.error("audit.not_sealed", error_type=type(error).__name__, exc_info=error)


def _backoff_s(attempts: int) -> int:
    return min(1 << attempts, BACKOFF_MAX_S)


def _drop_connections() -> None:
    for alias in connections:
        try:
            connections[alias].close()
        except (OperationalError, InterfaceError):
            connections[alias].connection = None


metrics.register_gauge(
    "merchantry_outbox_lag_seconds", "Age of the oldest event that waits.", relay_lag_s
)
metrics.register_gauge(
    "merchantry_outbox_quarantined", "Events given up by the relay.", quarantined_count
)
