"""The relay: leases committed events, hands them to subscribers, marks them delivered.

A lease takes events that are neither delivered nor leased (`FOR UPDATE SKIP LOCKED`), marks them,
counts the attempt and commits; only then do handlers run, and then the events are marked. A relay
that dies in between loses nothing: its leases end with it (`core.liveness`), and another one
delivers the events again. The tenants take turns, so that no backlog of one delays the others.
There is no high-water mark over ids, for a transaction that commits late would fall below it. Any
number of relays may run; leases are taken in turn, so that two relays never hold events of one
aggregate at once. The relay polls (ADR 0011) and also seals the audit log (ADR 0010).
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.backends.utils import CursorWrapper

from core import connections, deadline, liveness, metrics, outbox
from core.audit import seal_audit_records
from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.errors import Conflict
from core.models import OutboxEvent
from core.unit import Writes

log = structlog.get_logger(__name__)

BATCH: Final = 200
#: For a relay that lives and hangs; longer than the time that a batch may take (`outbox.dispatch`).
LEASE_S: Final = 60
POLL_S: Final = 0.1
#: What a round waits for ends by then; handlers have less (`outbox.dispatch`).
ROUND_S: Final = 60.0
SEAL_EVERY_S: Final = 1.0
MAX_ATTEMPTS: Final = 12
#: After this number of attempts an event is a suspect: it may be what kills the relay.
SUSPECT_AFTER: Final = 6
BACKOFF_MAX_S: Final = 300
RECONNECT_MAX_S: Final = 5.0

_CLAIM_LOCK: Final = 727_411
# Each tenant with open events gives its oldest ones in turn, so that no backlog, however long,
# delays what another tenant waits for; a long one gives half a batch at most. An event whose
# aggregate has an earlier one under a lease that holds (or in its back-off) waits.
_CLAIM: Final = """
WITH RECURSIVE lane AS (
  (SELECT merchant_id FROM core_outboxevent
    WHERE delivered_at IS NULL AND quarantined_at IS NULL AND merchant_id IS NOT NULL
    ORDER BY merchant_id, id LIMIT 1)
  UNION ALL
  SELECT following.merchant_id FROM lane CROSS JOIN LATERAL (
    SELECT merchant_id FROM core_outboxevent
     WHERE delivered_at IS NULL AND quarantined_at IS NULL AND merchant_id > lane.merchant_id
     ORDER BY merchant_id, id LIMIT 1) AS following),
share AS (
  SELECT least(%(limit)s / 2 + 1, greatest(2, 4 * %(limit)s / (1 + count(*)))) AS most FROM lane),
open AS (
  SELECT due.id, row_number() OVER (PARTITION BY lane.merchant_id ORDER BY due.id) AS place
    FROM lane CROSS JOIN share CROSS JOIN LATERAL (
      SELECT o.id FROM core_outboxevent AS o
       WHERE o.merchant_id = lane.merchant_id AND {due}
       ORDER BY o.id LIMIT share.most) AS due
  UNION ALL
  SELECT due.id, row_number() OVER (ORDER BY due.id)
    FROM share CROSS JOIN LATERAL (
      SELECT o.id FROM core_outboxevent AS o
       WHERE o.merchant_id IS NULL AND {due}
       ORDER BY o.id LIMIT share.most) AS due),
chosen AS (SELECT id FROM open ORDER BY place, id LIMIT %(limit)s)
UPDATE core_outboxevent AS leased
   SET attempts = leased.attempts + 1,
       leased_until = clock_timestamp() + make_interval(secs => %(lease_s)s),
       holder = %(holder)s
 WHERE leased.id IN (
   SELECT o.id FROM core_outboxevent AS o WHERE o.id IN (SELECT id FROM chosen)
      FOR UPDATE OF o SKIP LOCKED)
RETURNING leased.*
""".replace(
    "{due}",
    """o.delivered_at IS NULL AND o.quarantined_at IS NULL
      AND (o.leased_until IS NULL OR o.leased_until < clock_timestamp()
           OR core_holder_died(o.holder))
      AND NOT EXISTS (
        SELECT 1 FROM core_outboxevent AS earlier
         WHERE earlier.aggregate = o.aggregate AND earlier.id < o.id
           AND earlier.delivered_at IS NULL AND earlier.quarantined_at IS NULL
           AND (earlier.merchant_id IS DISTINCT FROM o.merchant_id
                OR (earlier.leased_until >= clock_timestamp()
                    AND NOT core_holder_died(earlier.holder))))""",
)
_LAG: Final = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
  FROM core_outboxevent
 WHERE delivered_at IS NULL AND quarantined_at IS NULL
   AND (leased_until IS NULL OR leased_until < clock_timestamp() OR core_holder_died(holder))
"""


def relay_once(*, limit: int = BATCH) -> int:
    """Lease and deliver one batch; return how many events were looked at."""
    batch = lease(limit=limit)
    if batch.events:
        settle(batch.events, outbox.dispatch(batch.events))
    return batch.looked_at


@dataclass(frozen=True, slots=True)
class Batch:
    """What one lease took, oldest first, and how many events it had to look at for that."""

    events: list[OutboxEvent]
    looked_at: int


def lease(*, limit: int = BATCH) -> Batch:
    """Lease up to `limit` events to this process.

    A relay that is killed by an event judges nothing, so that is done here: an event that has had
    all its attempts is quarantined. As it is unknown which event of a batch it was, suspects are
    tried in separate batches, and none is given up for its neighbour.
    """
    with tenant_atomic(Scope.worker()):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])
        asked = {"lease_s": LEASE_S, "holder": liveness.holder(), "limit": limit}
        found = sorted(OutboxEvent.objects.raw(_CLAIM, asked), key=lambda e: e.id)
        killers = [event for event in found if event.attempts > MAX_ATTEMPTS]
        events, postponed = _one_suspect([e for e in found if e.attempts <= MAX_ATTEMPTS])
        with connection.cursor() as cursor:
            if killers:
                cursor.execute(
                    "UPDATE core_outboxevent SET quarantined_at = clock_timestamp(),"
                    " leased_until = NULL, holder = NULL, attempts = attempts - 1, last_error = %s"
                    " WHERE id = ANY(%s)",
                    ["The relay was killed while it delivered this.", _ids(killers)],
                )
            _give_back(cursor, _ids(postponed))
    for event in killers:
        log.error("outbox.quarantined", event_id=event.public_id, attempts=MAX_ATTEMPTS)
    return Batch(events, len(found))


def _one_suspect(found: list[OutboxEvent]) -> tuple[list[OutboxEvent], list[OutboxEvent]]:
    """Split a lease into what is delivered now and what waits for its turn.

    Whatever follows a postponed event of its aggregate waits too, for the order's sake.
    """
    now: list[OutboxEvent] = []
    later: list[OutboxEvent] = []
    suspect_taken = False
    waiting: set[str] = set()
    for event in found:
        is_suspect = event.attempts > SUSPECT_AFTER
        if event.aggregate in waiting or (is_suspect and suspect_taken):
            waiting.add(event.aggregate)
            later.append(event)
        else:
            suspect_taken = suspect_taken or is_suspect
            now.append(event)
    return now, later


def _give_back(cursor: CursorWrapper, events: list[UUID]) -> None:
    """End the lease of events that were not begun; the attempt is not counted."""
    if events:
        cursor.execute(
            "UPDATE core_outboxevent SET leased_until = NULL, holder = NULL,"
            " attempts = attempts - 1"
            " WHERE id = ANY(%s)",
            [events],
        )


def _ids(events: list[OutboxEvent]) -> list[UUID]:
    return [event.id for event in events]


def settle(events: list[OutboxEvent], outcome: outbox.Outcome) -> None:
    """Write down what became of a leased batch."""
    by_id = {event.id: event for event in events}
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        # Another relay writes them too once the lease has run out: both take them in one order.
        cursor.execute(
            "SELECT 1 FROM core_outboxevent WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
            [_ids(events)],
        )
        if outcome.done:
            cursor.execute(
                "UPDATE core_outboxevent SET delivered_at = clock_timestamp(),"
                " leased_until = NULL, holder = NULL, last_error = '' WHERE id = ANY(%s)",
                [outcome.done],
            )
        _give_back(cursor, outcome.skipped)
        for event_id, error in outcome.failed.items():
            attempts = by_id[event_id].attempts
            given_up = attempts >= MAX_ATTEMPTS
            cursor.execute(
                "UPDATE core_outboxevent SET last_error = %s, holder = NULL,"
                " leased_until = clock_timestamp() + make_interval(secs => %s),"
                " quarantined_at = CASE WHEN %s THEN clock_timestamp() END WHERE id = %s",
                [error.replace("\x00", ""), _backoff_s(attempts), given_up, event_id],
            )
            if given_up:
                log.error("outbox.quarantined", event_id=str(event_id), attempts=attempts)
    metrics.outbox_events.labels("delivered").inc(len(outcome.done))
    metrics.outbox_events.labels("failed").inc(len(outcome.failed))


def event_release(*, event_id: UUID, actor: Actor) -> None:
    """Give a quarantined event a new set of attempts: a person has mended the cause.

    Raises:
        Conflict: the event is not quarantined.
    """
    with tenant_atomic(actor.scope):
        given_up = OutboxEvent.objects.filter(id=event_id, quarantined_at__isnull=False)
        if not given_up.update(quarantined_at=None, leased_until=None, attempts=0):
            raise Conflict("Only a quarantined event can be released.")
        event = OutboxEvent.objects.get(id=event_id)
        writes = Writes()
        writes.record(
            event,
            action="event.released",
            event=None,
            actor=actor,
            after={"type": event.type, "aggregate": event.aggregate},
        )
        writes.flush()


def relay_lag_s() -> float:
    """Age in seconds of the oldest event that waits to be leased; 0 when none waits."""
    with tenant_atomic(Scope.intake()):
        row = fetch_one(_LAG)
    return float(row[0]) if row else 0.0


def quarantined_count() -> int:
    """How many events were given up and need a person."""
    with tenant_atomic(Scope.intake()):
        return OutboxEvent.objects.filter(quarantined_at__isnull=False).count()


def run(stop: threading.Event) -> None:
    """Deliver until `stop` is set; a lost database is waited for, with growing pauses."""
    pause_s = POLL_S
    next_seal = 0.0
    log.info("relay.started")
    while not stop.is_set():
        try:
            with deadline.within(ROUND_S):
                leased = relay_once()
                if time.monotonic() >= next_seal:
                    _seal()
                    next_seal = time.monotonic() + SEAL_EVERY_S
            pause_s = POLL_S
            if leased < BATCH // 2:
                stop.wait(POLL_S)
        except (DatabaseError, InterfaceError, deadline.DeadlineExceeded) as error:
            log.warning("relay.database_lost", error_type=type(error).__name__, exc_info=error)
            # Whatever the batch in hand had leased is free again, for this relay as for others.
            connections.drop()
            liveness.renew()
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


metrics.register_gauge(
    "merchantry_outbox_lag_seconds", "Age of the oldest event that waits.", relay_lag_s
)
metrics.register_gauge(
    "merchantry_outbox_quarantined", "Events given up by the relay.", quarantined_count
)
