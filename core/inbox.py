"""Inbound webhooks of providers: stored once as they came, answered at once, processed in a task.

The face verifies the signature over the raw bytes, calls `receive` and answers 200. Events may come
twice (unique on provider, account, event id), out of order (processors judge by state), or before
we know the object (parked, and tried again when it appears or by the sweep).
"""

from __future__ import annotations

import enum
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from django.db import InterfaceError, OperationalError, connection

from core import metrics
from core.context import Actor, bind_request_id, request_id
from core.db import Scope, after_commit, fetch_all, fetch_one, tenant_atomic
from core.enqueue import enqueue
from core.errors import Conflict
from core.ids import new_id
from core.liveness import holder
from core.models import InboxMessage, OutboxEvent
from core.pan import contains_card_number, mask_card_numbers
from core.unit import Writes

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 10
#: For a worker that lives and hangs: as long as a task may take. What a worker that died was at is
#: due again with the next sweep.
LEASE_S: Final = 300
#: A new message has a task of its own; when that was lost, the sweep takes the message up.
TASK_LOST_AFTER_S: Final = 3
PARKED_MAX_S: Final = 3 * 86_400
RAW_MAX_BYTES: Final = 1_048_576
_PAUSES_S: Final = (5, 30, 120, 300, 900, 1_800, 3_600)
# Beside the provider's signature: enough to replay a verification, never cookies or authorization.
_KEPT_HEADERS: Final = frozenset({"content-type", "user-agent"})
_KILLED: Final = "The worker was killed, or lost its database, while it worked on this."
_LEASE: Final = """
UPDATE core_inboxmessage
   SET attempts = CASE WHEN attempts < %(cap)s THEN attempts + 1 ELSE attempts END,
       state = CASE WHEN attempts < %(cap)s THEN state ELSE 'quarantined' END,
       last_error = CASE WHEN attempts < %(cap)s THEN last_error ELSE %(killed)s END,
       holder = CASE WHEN attempts < %(cap)s THEN %(holder)s END,
       next_attempt_at = CASE WHEN attempts < %(cap)s
                              THEN clock_timestamp() + make_interval(secs => %(lease)s) END
 WHERE {open} AND {due}
"""


def _with_terms(sql: str) -> str:
    """Write out what several statements share: the lease, and that a message is open, or due."""
    return (
        sql.replace("{lease}", _LEASE)
        .replace("{open}", "state IN ('received', 'failed', 'parked')")
        .replace("{due}", "(next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp())")
    )


_LEASE_ONE: Final = _with_terms("{lease} AND id = %(id)s RETURNING *")
# The lanes with something due form a ring by their ids; the one after `after` gives its oldest.
_LEASE_NEXT: Final = _with_terms("""
WITH RECURSIVE lane AS (
  (SELECT lane_id, next_attempt_at AS first_at FROM core_inboxmessage WHERE {open}
    ORDER BY lane_id, next_attempt_at NULLS FIRST LIMIT 1)
  UNION ALL
  SELECT following.* FROM lane CROSS JOIN LATERAL (
    SELECT lane_id, next_attempt_at FROM core_inboxmessage
     WHERE {open} AND lane_id > lane.lane_id
     ORDER BY lane_id, next_attempt_at NULLS FIRST LIMIT 1) AS following),
upcoming AS (
  SELECT lane_id FROM lane WHERE first_at IS NULL OR first_at <= clock_timestamp()
   ORDER BY lane_id <= %(after)s, lane_id LIMIT 1),
chosen AS (
  SELECT id FROM core_inboxmessage
   WHERE {open} AND lane_id = (SELECT lane_id FROM upcoming) AND {due}
   ORDER BY next_attempt_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED)
{lease} AND id IN (SELECT id FROM chosen) RETURNING *
""")
_FREE: Final = _with_terms("""
UPDATE core_inboxmessage SET next_attempt_at = clock_timestamp(), holder = NULL
 WHERE id IN (SELECT id FROM core_inboxmessage
               WHERE holder IS NOT NULL AND {open} AND core_holder_died(holder)
               ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id
""")
# Lane by lane: each gives its oldest, then each its second oldest.
_SWEEP: Final = _with_terms("""
SELECT id FROM core_inboxmessage
 WHERE {open}
   AND (next_attempt_at IS NULL AND received_at < clock_timestamp() - make_interval(secs => %s)
        OR next_attempt_at <= clock_timestamp())
 ORDER BY row_number() OVER (PARTITION BY lane_id ORDER BY id), id LIMIT %s
""")
# A look that found no object is no failed attempt. The next one comes after as long as the message
# has waited, an hour at most.
_PARK: Final = """
UPDATE core_inboxmessage
   SET state = 'parked', reference = %s, last_error = '', attempts = attempts - 1, holder = NULL,
       next_attempt_at = clock_timestamp()
           + least(greatest(clock_timestamp() - received_at, interval '5 s'), interval '1 h')
 WHERE id = %s AND state <> 'processed'
"""


#: How often a task looks for a message when others were quicker.
_LOOKS: Final = 3


class _Ring(threading.local):
    """Where this worker's last message came from; each begins somewhere else."""

    def __init__(self) -> None:
        self.after = uuid4()


_ring = _Ring()


class Verdict(enum.Enum):
    """What a processor made of a message."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Result:
    """`reference` is our own reference in the message: a parked message waits for that object."""

    verdict: Verdict
    reference: str = ""


Processor = Callable[[InboxMessage], Result]
#: Whose object a reference of ours names, asked in the worker's scope; None when it is not known.
LaneFinder = Callable[[str], UUID | None]
_processors: dict[str, Processor] = {}
_signature_headers: dict[str, frozenset[str]] = {}
_lane_finders: list[LaneFinder] = []


def register_processor(
    provider: str, processor: Processor, *, signature_headers: Iterable[str] = ()
) -> None:
    """Let `processor(message)` handle a provider's messages, stored with their signature's headers.

    It runs outside any transaction, opens its own, and must be idempotent: a message whose worker
    was killed comes again. Raising means failed; the message is tried again, up to ten times. So it
    is when its worker is killed: what kills ten workers is quarantined and not taken up again.
    """
    _processors[provider] = processor
    _signature_headers[provider] = frozenset(name.lower() for name in signature_headers)


def register_lane_finder(finder: LaneFinder) -> None:
    """Let `finder(reference)` say to which merchant a message belongs: merchants take turns.

    A message whose merchant is unknown takes its turn with the others of its provider account.
    """
    if finder not in _lane_finders:
        _lane_finders.append(finder)


def receive(
    *,
    provider: str,
    account_id: UUID,
    event_id: str,
    raw: bytes,
    headers: Mapping[str, str],
    parsed_type: str = "",
    reference: str = "",
) -> tuple[InboxMessage, bool]:
    """Store a verified webhook once; return the message and whether it is new.

    Answer 200 either way. A new one is processed by a task right after this commits; should the
    broker be away, the sweep finds it. Of one that came before, ids and state are read alone.
    """
    if contains_card_number(event_id):
        # Masked, two events would be one.
        event_id = f"sha256:{hashlib.sha256(event_id.encode()).hexdigest()}"
    kept = _KEPT_HEADERS | _signature_headers.get(provider, frozenset())
    message = InboxMessage(
        id=new_id(),
        provider=provider,
        account_id=account_id,
        event_id=event_id,
        event_type=parsed_type[:100],
        reference=reference[:100],
        raw=raw,
        headers={k.lower(): v for k, v in headers.items() if k.lower() in kept},
        request_id=request_id()[:64],
    )
    with tenant_atomic(Scope.intake()):
        known = (finder(reference) for finder in _lane_finders if reference)
        message.lane_id = next((lane for lane in known if lane is not None), account_id)
        stored = InboxMessage.objects.bulk_create([message], ignore_conflicts=True)
        # The scope may not read bodies, so an earlier message comes without its contents.
        found = InboxMessage.objects.only("provider", "account_id", "event_id", "state").get(
            provider=provider, account_id=account_id, event_id=event_id
        )
        created = found.id == stored[0].id
        if created:
            after_commit(lambda: _enqueue(found.id))
    return (message if created else found), created


def process(message_id: UUID) -> str:
    """Process one message if it is due; return its state afterwards ("" when it was not ours)."""
    return _process(_lease(message_id))


def process_next() -> str:
    """Process the message whose lane's turn it is; return its state ("" when none is due).

    The task of a new message runs this instead of its own message: there is one task per message,
    and of a merchant's thousand messages one is processed before another merchant's first.
    """
    for _ in range(_LOOKS):
        message = _lease_next()
        if message is not None:
            return _process(message)
    return ""


def _process(message: InboxMessage | None) -> str:
    if message is None:
        return ""
    if message.state == InboxMessage.State.QUARANTINED:
        log.error("inbox.quarantined", message_id=str(message.id), attempts=message.attempts)
        return str(message.state)
    processor = _processors.get(message.provider)
    with bind_request_id(message.request_id):
        try:
            if processor is None:
                raise LookupError(f"no processor is registered for {message.provider!r}")
            result = processor(message)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - recorded on the message, tried again
            return _record_failure(message, error)
    if result.verdict is Verdict.PARKED:
        return _park(message, result.reference)
    _set_state(message, InboxMessage.State.PROCESSED, error="")
    return str(InboxMessage.State.PROCESSED)


def match_parked(*references: str) -> int:
    """Make parked messages due that wait for one of these objects; return how many.

    Opens its own transaction: call it after the object has committed (a subscriber does, for every
    event's aggregate).
    """
    wanted = [reference for reference in references if reference]
    if not wanted:
        return 0
    with tenant_atomic(Scope.worker()):
        rows = fetch_all(
            "UPDATE core_inboxmessage SET next_attempt_at = clock_timestamp() WHERE id IN"
            " (SELECT id FROM core_inboxmessage WHERE state = 'parked' AND reference = ANY(%s)"
            "   ORDER BY id FOR UPDATE) RETURNING id",
            [wanted],
        )
        for (message_id,) in rows:
            after_commit(partial(_enqueue, message_id))
    return len(rows)


def match_parked_for_events(events: Sequence[OutboxEvent]) -> None:
    """Outbox subscriber: an event about an object means that the object exists."""
    match_parked(*{event.aggregate for event in events})


def sweep(*, limit: int = 200) -> list[UUID]:
    """Ids of messages that are due: new ones whose task was lost, failed and parked ones.

    Lane by lane, and with what a worker had begun that has died.
    """
    with tenant_atomic(Scope.worker()):
        fetch_all(_FREE)
        rows = fetch_all(_SWEEP, [TASK_LOST_AFTER_S, limit])
    return [row[0] for row in rows]


def inbox_release(*, message_id: UUID, actor: Actor) -> None:
    """Give a quarantined message a new set of attempts: a person has mended the cause.

    Raises:
        Conflict: the message is not quarantined.
    """
    with tenant_atomic(actor.scope):
        rows = fetch_all(
            "UPDATE core_inboxmessage SET state = 'received', attempts = 0,"
            " next_attempt_at = clock_timestamp() WHERE id = %s AND state = 'quarantined'"
            " RETURNING provider, event_type",
            [message_id],
        )
        if not rows:
            raise Conflict("Only a quarantined message can be released.")
        ((provider, event_type),) = rows
        writes = Writes()
        writes.record(
            InboxMessage(id=message_id),
            action="inbox.released",
            event=None,
            actor=actor,
            after={"provider": provider, "event_type": event_type},
        )
        writes.flush()
        after_commit(lambda: _enqueue(message_id))


def open_counts() -> dict[str, int]:
    """How many messages stand in each state that is not the end."""
    with tenant_atomic(Scope.intake()):
        rows = fetch_all(
            "SELECT state, count(*) FROM core_inboxmessage"
            " WHERE state IN ('received', 'failed', 'parked', 'quarantined') GROUP BY state"
        )
    return {state: int(count) for state, count in rows}


def _lease(message_id: UUID) -> InboxMessage | None:
    return _leased(_LEASE_ONE, {"id": message_id})


def _lease_next() -> InboxMessage | None:
    """Lease a message of the next lane in this process's ring."""
    message = _leased(_LEASE_NEXT, {"after": _ring.after})
    if message is not None:
        _ring.after = message.lane_id
    return message


def _leased(sql: str, params: dict[str, Any]) -> InboxMessage | None:
    # The lease is the next attempt: two tasks never meet, and a killed one is repeated. It cannot
    # judge itself, so the cap is looked at here too.
    shared = {"cap": MAX_ATTEMPTS, "lease": LEASE_S, "killed": _KILLED, "holder": holder()}
    with tenant_atomic(Scope.worker()):
        found = list(InboxMessage.objects.raw(sql, {**shared, **params}))
    return found[0] if found else None


def _record_failure(message: InboxMessage, error: Exception) -> str:
    given_up = message.attempts >= MAX_ATTEMPTS
    state = InboxMessage.State.QUARANTINED if given_up else InboxMessage.State.FAILED
    text = mask_card_numbers(f"{type(error).__name__}: {error}".replace("\x00", ""))[:500]
    _set_state(message, state, error=text)
    log.warning(
        "inbox.failed",
        message_id=str(message.id),
        provider=message.provider,
        attempts=message.attempts,
        state=str(state),
        exc_info=error,
    )
    return str(state)


def _park(message: InboxMessage, reference: str) -> str:
    with tenant_atomic(Scope.worker()):
        row = fetch_one(
            "SELECT received_at < clock_timestamp() - make_interval(secs => %s)"
            " FROM core_inboxmessage WHERE id = %s",
            [PARKED_MAX_S, message.id],
        )
    if row is not None and row[0]:
        error = f"no object with the reference {reference!r} appeared in three days"
        _set_state(message, InboxMessage.State.QUARANTINED, error=error)
        return str(InboxMessage.State.QUARANTINED)
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        cursor.execute(_PARK, [reference[:100] or message.reference, message.id])
    return str(InboxMessage.State.PARKED)


def _set_state(message: InboxMessage, state: InboxMessage.State, *, error: str) -> None:
    waiting = state == InboxMessage.State.FAILED
    pause_s = _PAUSES_S[min(message.attempts, len(_PAUSES_S)) - 1]
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_inboxmessage SET state = %s, last_error = %s, holder = NULL,"
            " next_attempt_at = CASE WHEN %s THEN clock_timestamp() + make_interval(secs => %s)"
            " END,"
            " processed_at = CASE WHEN %s = 'processed' THEN clock_timestamp() END"
            " WHERE id = %s AND state <> 'processed'",
            [state, error, waiting, pause_s, state, message.id],
        )


def _enqueue(message_id: UUID) -> None:
    # The row is what counts; should the broker be away, the sweep finds it within half a minute.
    enqueue("core.process_inbox_message", str(message_id))


def _gauge(state: str) -> Callable[[], float]:
    return lambda: float(open_counts().get(state, 0))


for _state in ("received", "failed", "parked", "quarantined"):
    metrics.register_gauge(
        f"merchantry_inbox_{_state}", f"Inbound webhooks in state {_state}.", _gauge(_state)
    )
