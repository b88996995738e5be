"""Helpers of the kernel's tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core import events, outbox, relay
from core.context import Actor
from core.db import Scope, fetch_all, tenant_atomic
from core.events import Audience, EventSpec
from core.ids import encode, new_id
from core.models import OutboxEvent, Tenancy
from core.unit import Writes
from tests.factories import Tenants

ROOT = Path(__file__).resolve().parent.parent.parent


def spec_of(event_type: str) -> EventSpec:
    """The declared event of that name; any other becomes one that nobody outside sees."""
    known = events.find(event_type)
    return known or events.declare(event_type, "Of a test.", seen_by=Audience.INTERNAL)


def emit(tenants: Tenants, event_type: str, *, aggregate: str = "", **payload: Any) -> OutboxEvent:
    """Commit one event of the merchant's, as a service would; `spec_of` says which types."""
    thing = Thing.of(tenants, aggregate or encode("obj", new_id()))
    with tenant_atomic(tenants.scope):
        happen(thing, event_type, payload=payload)
        return OutboxEvent.objects.filter(type=event_type, aggregate=thing.public_id).latest("id")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that records and events can be about, without a table."""

    public_id: str
    whose: Tenancy = field(default_factory=Tenancy)

    @classmethod
    def of(cls, tenants: Tenants, public_id: str) -> Thing:
        """A thing of the merchant's, in test mode."""
        return cls(public_id, Tenancy(tenants.merchant.id, tenants.reseller.id, livemode=False))

    def tenancy(self) -> Tenancy:
        return self.whose


def happen(thing: Thing, event_type: str, *, payload: Mapping[str, Any] | None = None) -> None:
    """Record that something happened to a thing, in the open transaction."""
    writes = Writes()
    writes.record(
        thing,
        action="test.happened",
        event=spec_of(event_type),
        actor=Actor.system("test"),
        payload=payload or {},
    )
    writes.flush()


def audit(tenants: Tenants, action: str, **after: Any) -> None:
    with tenant_atomic(tenants.scope):
        writes = Writes()
        actor = Actor(
            kind="api_key",
            id="key_test",
            merchant_id=tenants.merchant.id,
            reseller_id=tenants.reseller.id,
            ip="203.0.113.9",
        )
        writes.record(Thing("obj_1"), action=action, event=None, actor=actor, after=after)
        writes.flush()


def drain() -> None:
    """Deliver whatever other tests have left, and what was just committed."""
    while relay.relay_once():
        pass


def clear_the_desk() -> None:
    """Leave nothing to relay or to send: tests keep their rows, and a relay or sender would first
    work off what all the others have left (some of it to addresses that never answer)."""
    worker_sql(
        "UPDATE core_outboxevent SET delivered_at = clock_timestamp(), leased_until = NULL"
        " WHERE delivered_at IS NULL RETURNING 1",
        [],
    )
    worker_sql(
        "UPDATE notifications_webhookdelivery SET state = 'canceled', next_attempt_at = NULL"
        " WHERE state = 'pending' RETURNING 1",
        [],
    )


def event_row(event: OutboxEvent) -> OutboxEvent:
    with tenant_atomic(Scope.worker()):
        return OutboxEvent.objects.get(id=event.id)


def worker_sql(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with tenant_atomic(Scope.worker()):
        return fetch_all(sql, params)


def lease_runs_out(event: OutboxEvent) -> None:
    worker_sql(
        "UPDATE core_outboxevent SET leased_until = clock_timestamp() - interval '1 s'"
        " WHERE id = %s RETURNING 1",
        [event.id],
    )


@contextmanager
def subscribed(
    pattern: str, handler: Callable[[Any], None], *, batch: bool = False
) -> Iterator[None]:
    (outbox.subscribe_batch if batch else outbox.subscribe)(pattern, handler)
    try:
        yield
    finally:
        outbox.unsubscribe(handler)


#: An upper limit for what a killed process held to be free. That takes a moment; less than a lease
#: (60 s) it must be, for at its end too all would be free.
DIES_WITHIN_S: Final = 50.0


def eventually(check: Callable[[], Any], *, timeout_s: float = 60.0) -> Any:
    """Wait for a truthy answer of something that runs in another process."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.05)


def start_child(log: Path, *options: str) -> subprocess.Popen[bytes]:
    # What it says goes to this process's own output, which pytest shows where a test fails.
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/core/relay_child.py"), str(log), *options],
        cwd=ROOT,
        env=os.environ.copy(),
    )
    eventually(lambda: lines(log), timeout_s=120)
    return child


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []
