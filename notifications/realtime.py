"""What websockets push: who may listen to which document, and the push itself.

The relay pushes after commit, through the channel layer, and never waits for it: when a push is
lost (Valkey is down), pages fall back to polling. A push says that something happened and to what;
the page fetches the rest with its own permissions.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final
from uuid import UUID

import redis
import structlog
from channels.layers import get_channel_layer

from core.breaker import Breaker, BreakerOpen
from core.context import Actor
from core.events import Audience, find
from core.models import OutboxEvent
from core.times import iso

log = structlog.get_logger(__name__)

DocumentChecker = Callable[[Actor, str], bool]
MAX_PUSH: Final = 500
ACTIVITY_PER_BATCH: Final = 10
PUSH_TIMEOUT_S: Final = 3.0
_LOST: Final = (redis.RedisError, OSError, TimeoutError)
#: While Valkey hangs, the relay waits for one push every few seconds, not for each.
_breaker = Breaker("channel layer", open_s=2.0, open_max_s=10.0)
_checkers: dict[str, DocumentChecker] = {}


def register_document_checker(prefix: str, checker: DocumentChecker) -> None:
    """Register the check of who may listen to documents with this id prefix (`pay`).

    `checker(actor, public_id)` opens its own scope and returns whether the document exists and the
    actor may read it; another tenant's document does not exist. It is called again while a socket
    is open.
    """
    _checkers[prefix] = checker


def may_listen(actor: Actor, public_id: str) -> bool:
    """Whether the actor may listen to a document; False for an unknown kind of document."""
    checker = _checkers.get(public_id.partition("_")[0])
    return checker is not None and checker(actor, public_id)


def document_group(public_id: str) -> str:
    return f"doc.{public_id}"


def activity_group(tenant_id: UUID, *, livemode: bool) -> str:
    return f"activity.{tenant_id.hex}.{'live' if livemode else 'test'}"


def message_of(event: OutboxEvent) -> dict[str, Any]:
    """What a browser receives; ids, a type and a status, no amounts and no PII."""
    status = event.payload.get("status")
    return {
        "id": event.public_id,
        "type": event.type,
        "object": event.object_id,
        "status": status if isinstance(status, str) else None,
        "created_at": iso(event.created_at),
    }


def push(events: Sequence[OutboxEvent]) -> None:
    """Outbox subscriber: push to the open sockets. Never raises when the layer is down."""
    layer = get_channel_layer()
    # After a long outage of the relay the backlog is not pushed: pages have polled.
    wanted = [event for event in events if _is_pushed(event)][-MAX_PUSH:]
    if layer is None or not wanted:
        return

    async def send_all() -> None:
        for group, events_of_group in _by_group(wanted).items():
            for event in events_of_group:
                message = {"type": "event.push", "event": message_of(event)}
                await layer.group_send(group, message)

    try:
        with _breaker.guard(*_LOST):
            _loop.run(send_all(), timeout_s=PUSH_TIMEOUT_S)
    except BreakerOpen:
        return
    except _LOST as error:
        log.warning("realtime.not_pushed", error_type=type(error).__name__, count=len(wanted))


def _is_pushed(event: OutboxEvent) -> bool:
    spec = find(event.type)
    internal = spec is None or spec.seen_by is Audience.INTERNAL
    return event.merchant_id is not None and not internal


def _by_group(events: Sequence[OutboxEvent]) -> dict[str, deque[OutboxEvent]]:
    """Group → its events of a batch: the last one of a document, and of a tenant's activity no more
    than a page shows."""
    groups: dict[str, deque[OutboxEvent]] = {}
    for event in events:
        groups.setdefault(document_group(event.aggregate), deque(maxlen=1)).append(event)
        for tenant_id in (event.merchant_id, event.reseller_id):
            if tenant_id is not None:
                group = activity_group(tenant_id, livemode=event.livemode)
                groups.setdefault(group, deque(maxlen=ACTIVITY_PER_BATCH)).append(event)
    return groups


class _PushLoop:
    """One event loop in a thread of its own, for the life of the process.

    A loop for each push would open a connection to Valkey for each push.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, None], *, timeout_s: float) -> None:
        """Run to the end, or raise TimeoutError and cancel."""
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            future.result(timeout=timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A forked child has none of its parent's threads.
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                # A fork's copy says that it runs; closing that would change the parent's.
                if self._loop is not None and not self._loop.is_running():
                    self._loop.close()
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=loop.run_forever, name="realtime-push", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                # Set last: if the thread cannot start, no later push may wait for its loop.
                self._loop, self._thread = loop, thread
            return self._loop


_loop = _PushLoop()
