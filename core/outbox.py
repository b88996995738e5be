"""What happens after a commit: rooms subscribe to events, the relay hands them over.

Lower rooms never call higher ones. They emit an event in the transaction that changes the state
(`Writes.record`), and higher rooms subscribe in `AppConfig.ready`. Delivery is at least once, so
handlers are idempotent on `event.id`; events of one aggregate arrive in order.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from core import connections
from core.context import bind_request_id
from core.models import OutboxEvent
from core.pan import mask_card_numbers

log = structlog.get_logger(__name__)

EventHandler = Callable[[OutboxEvent], None]
BatchHandler = Callable[[Sequence[OutboxEvent]], None]


@dataclass(frozen=True, slots=True)
class _Subscription:
    pattern: str
    name: str
    handler: EventHandler | None
    batch_handler: BatchHandler | None

    def matches(self, event_type: str) -> bool:
        return fnmatch.fnmatchcase(event_type, self.pattern)


@dataclass(slots=True)
class Outcome:
    """What became of a batch: event ids done, failed (with the error), and not begun."""

    done: list[UUID] = field(default_factory=list)
    failed: dict[UUID, str] = field(default_factory=dict)
    skipped: list[UUID] = field(default_factory=list)


_subscriptions: list[_Subscription] = []


def subscribe(pattern: str, handler: EventHandler) -> None:
    """Call `handler(event)` for every event whose type matches, e.g. `payment.*` or `*`.

    The handler runs in the relay, outside any transaction, and opens its own. Whatever it raises
    makes the relay try again later, for this event and with every handler, up to its cap; a handler
    must therefore be idempotent on `event.id`. It must not call providers or wait: it enqueues.
    Subscribing the same handler to the same pattern twice changes nothing.
    """
    _add(_Subscription(pattern, _name(handler), handler, None))


def subscribe_batch(pattern: str, handler: BatchHandler) -> None:
    """As `subscribe`, with all matching events of a batch in one call, in order.

    For handlers that can do the work of many events in one statement. When the call raises, it is
    repeated for each event alone, so that one bad event does not hold up its neighbours.
    """
    _add(_Subscription(pattern, _name(handler), None, handler))


def unsubscribe(handler: EventHandler | BatchHandler) -> None:
    """Take a handler out again (tests)."""
    _subscriptions[:] = [
        known
        for known in _subscriptions
        if known.handler is not handler and known.batch_handler is not handler
    ]


def dispatch(events: Sequence[OutboxEvent], *, budget_s: float = 40.0) -> Outcome:
    """Hand events to every subscriber, in order; never raises for a handler's error.

    An event that failed holds back the later ones of its aggregate, so that order is kept. When
    `budget_s` is used up the rest is skipped, for the lease on them will soon run out.

    Raises:
        OperationalError, InterfaceError: the database went away; nothing of the batch is judged.
    """
    batch = _Batch(events, time.monotonic() + budget_s)
    for subscription in _subscriptions:
        wanted = [event for event in batch.eligible() if subscription.matches(event.type)]
        if wanted:
            batch.run(subscription, wanted)
    return batch.outcome()


class _Batch:
    """The state of one batch while subscribers work through it."""

    def __init__(self, events: Sequence[OutboxEvent], deadline: float) -> None:
        self.events = events
        self.deadline = deadline
        self.failed: dict[UUID, str] = {}
        self.skipped: set[UUID] = set()

    def eligible(self) -> Iterator[OutboxEvent]:
        for event in self.events:
            if event.id not in self.failed and event.id not in self.skipped:
                yield event

    def outcome(self) -> Outcome:
        return Outcome(
            done=[event.id for event in self.eligible()],
            failed=dict(self.failed),
            skipped=[event.id for event in self.events if event.id in self.skipped],
        )

    def run(self, subscription: _Subscription, wanted: Sequence[OutboxEvent]) -> None:
        if time.monotonic() < self.deadline and subscription.batch_handler is not None:
            try:
                with bind_request_id(wanted[0].request_id if len(wanted) == 1 else ""):
                    subscription.batch_handler(wanted)
            except Exception as error:
                if connections.is_lost(error):
                    raise
                if len(wanted) == 1:
                    self._fail(wanted[0], subscription, error)
                    return
            else:
                return
        for event in wanted:
            if event.id not in self.skipped:
                self._run_one(subscription, event)

    def _run_one(self, subscription: _Subscription, event: OutboxEvent) -> None:
        if time.monotonic() >= self.deadline:
            self.skipped.add(event.id)
            self._hold_back_after(event)
            return
        try:
            with bind_request_id(event.request_id):
                if subscription.handler is not None:
                    subscription.handler(event)
                elif subscription.batch_handler is not None:
                    subscription.batch_handler([event])
        except Exception as error:
            if connections.is_lost(error):
                raise
            self._fail(event, subscription, error)

    def _fail(self, event: OutboxEvent, subscription: _Subscription, error: Exception) -> None:
        text = mask_card_numbers(f"{subscription.name}: {type(error).__name__}: {error}")
        self.failed[event.id] = text[:500]
        self._hold_back_after(event)
        log.warning(
            "outbox.handler_failed",
            event_id=event.public_id,
            event_type=event.type,
            handler=subscription.name,
            error_type=type(error).__name__,
            exc_info=error,
        )

    def _hold_back_after(self, event: OutboxEvent) -> None:
        for other in self.events:
            if (
                other.aggregate == event.aggregate
                and other.id > event.id
                and other.id not in self.failed
            ):
                self.skipped.add(other.id)


def _add(subscription: _Subscription) -> None:
    for known in _subscriptions:
        if (known.pattern, known.handler, known.batch_handler) == (
            subscription.pattern,
            subscription.handler,
            subscription.batch_handler,
        ):
            return
    _subscriptions.append(subscription)


def _name(handler: Callable[..., None]) -> str:
    return f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
