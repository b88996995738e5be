"""The relay delivers what committed: at least once, in order, through crashes."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import TypeVar

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test import override_settings

from core import relay
from core.context import Actor, bind_request_id, request_id
from core.db import Scope, tenant_atomic
from core.errors import Conflict
from core.models import AuditRecord, OutboxEvent
from tests.core.support import (
    Thing,
    drain,
    emit,
    event_row,
    happen,
    lease_runs_out,
    subscribed,
    worker_sql,
)
from tests.factories import Tenants, make_tenants

T = TypeVar("T")
#: A relay takes the oldest events, whoever's they are.
pytestmark = pytest.mark.usefixtures("own_database")

STAFF = Actor(kind="user", id="usr_staff", label="Staff", platform=True)


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants(users=False)


def drained(seen: list[T]) -> list[T]:
    """What was seen, once all that can be leased now is delivered."""
    drain()
    return seen


def test_hands_a_committed_event_over_once_under_its_request_id(tenants: Tenants) -> None:
    seen: list[tuple[str, str]] = []
    with subscribed("test.*", lambda e: seen.append((e.public_id, request_id()))):
        with bind_request_id("req-test-0001"):
            event = emit(tenants, "test.one")
        drain()
        drain()

    assert seen == [(event.public_id, "req-test-0001")]
    row = event_row(event)
    assert row.delivered_at is not None
    assert row.attempts == 1
    assert row.leased_until is None


def test_an_event_of_a_rolled_back_transaction_never_was(tenants: Tenants) -> None:
    seen: list[OutboxEvent] = []

    def change_that_fails() -> None:
        with tenant_atomic(tenants.scope):
            happen(Thing.of(tenants, "x_1"), "test.rolled_back")
            raise RuntimeError

    with subscribed("test.rolled_back", seen.append):
        with pytest.raises(RuntimeError):
            change_that_fails()
        drain()

    assert seen == []


def test_an_event_that_commits_late_is_not_passed_over(tenants: Tenants) -> None:
    seen: list[str] = []
    written, commit = threading.Event(), threading.Event()

    def slow_transaction() -> None:
        with tenant_atomic(tenants.scope):
            happen(Thing.of(tenants, "obj_slow"), "test.late")
            written.set()
            commit.wait(60)
        connection.close()

    with subscribed("test.late", lambda e: seen.append(e.aggregate)):
        thread = threading.Thread(target=slow_transaction)
        thread.start()
        assert written.wait(60)
        emit(tenants, "test.late", aggregate="obj_quick")
        drain()
        assert seen == ["obj_quick"]
        commit.set()
        thread.join()
        drain()

    assert seen == ["obj_quick", "obj_slow"]


def test_a_failing_event_holds_back_only_its_own_aggregate(tenants: Tenants) -> None:
    seen: list[str] = []
    broken = True

    def handler(event: OutboxEvent) -> None:
        if broken and event.type == "test.hold.first":
            raise ValueError("not yet")
        seen.append(f"{event.aggregate}:{event.type}")

    with subscribed("test.hold.*", handler):
        first = emit(tenants, "test.hold.first", aggregate="obj_a")
        second = emit(tenants, "test.hold.second", aggregate="obj_a")
        emit(tenants, "test.hold.second", aggregate="obj_b")
        drain()
        drain()

        assert seen == ["obj_b:test.hold.second"]
        row = event_row(first)
        assert "ValueError: not yet" in row.last_error
        assert row.delivered_at is None
        assert event_row(second).attempts == 0

        broken = False
        lease_runs_out(first)
        drain()

    assert seen[1:] == ["obj_a:test.hold.first", "obj_a:test.hold.second"]
    assert event_row(second).delivered_at is not None


def test_gives_up_after_its_attempts_and_lets_the_next_pass(tenants: Tenants) -> None:
    seen: list[str] = []

    def handler(event: OutboxEvent) -> None:
        if event.payload.get("poison"):
            raise ValueError("poison")
        seen.append(event.aggregate)

    with subscribed("test.poison", handler):
        poison = emit(tenants, "test.poison", aggregate="obj_p", poison=True)
        emit(tenants, "test.poison", aggregate="obj_p")
        for _ in range(relay.MAX_ATTEMPTS + 3):
            drain()
            lease_runs_out(poison)

        row = event_row(poison)
        assert row.quarantined_at is not None
        assert row.attempts == relay.MAX_ATTEMPTS
        assert seen == ["obj_p"]

        relay.event_release(event_id=poison.id, actor=STAFF)
        drain()

    assert event_row(poison).attempts == 1


def test_only_a_quarantined_event_is_released_and_it_is_audited(tenants: Tenants) -> None:
    event = emit(tenants, "test.release")
    with pytest.raises(Conflict, match="Only a quarantined event"):
        relay.event_release(event_id=event.id, actor=STAFF)

    worker_sql(
        "UPDATE core_outboxevent SET quarantined_at = clock_timestamp(), attempts = 12"
        " WHERE id = %s RETURNING 1",
        [event.id],
    )
    relay.event_release(event_id=event.id, actor=STAFF)

    row = event_row(event)
    assert (row.quarantined_at, row.attempts) == (None, 0)
    with tenant_atomic(Scope.staff()):
        [record] = AuditRecord.objects.filter(target=event.public_id)
    assert (record.action, record.actor_id) == ("event.released", "usr_staff")
    assert record.merchant_id == tenants.merchant.id


def test_what_kills_the_relay_is_quarantined_and_its_neighbours_are_delivered(
    tenants: Tenants,
) -> None:
    """A killed relay judges nothing: only the lease and the counted attempt are left of it."""
    killed, seen = 0, []

    class Killed(BaseException):
        pass

    def handler(event: OutboxEvent) -> None:
        nonlocal killed
        if event.payload.get("kills"):
            killed += 1
            raise Killed
        seen.append(event.aggregate)

    with subscribed("test.kill", handler):
        killer = emit(tenants, "test.kill", aggregate="obj_k", kills=True)
        others = [emit(tenants, "test.kill", aggregate=f"obj_{n % 2}") for n in range(4)]
        events = [killer, *others]
        for _ in range(relay.MAX_ATTEMPTS + len(events) + 2):
            with contextlib.suppress(Killed):
                drain()
            for event in events:
                lease_runs_out(event)

    assert killed == relay.MAX_ATTEMPTS
    row = event_row(killer)
    assert row.quarantined_at is not None
    assert (row.attempts, row.last_error) == (
        relay.MAX_ATTEMPTS,
        "The relay was killed while it delivered this.",
    )
    for event in others:
        assert event_row(event).delivered_at is not None
        assert event_row(event).quarantined_at is None
    assert sorted(seen) == ["obj_0", "obj_0", "obj_1", "obj_1"]


def test_suspects_are_tried_one_at_a_time_and_in_order(tenants: Tenants) -> None:
    events = [
        emit(tenants, "test.suspect", aggregate=name) for name in ("s_1", "s_2", "s_2", "s_3")
    ]
    suspects = events[:2]
    worker_sql(
        "UPDATE core_outboxevent SET attempts = %s WHERE id = ANY(%s) RETURNING 1",
        [relay.SUSPECT_AFTER, [event.id for event in suspects]],
    )

    batch = relay.lease()

    ours = [event.id for event in batch.events if event.type == "test.suspect"]
    assert ours == [events[0].id, events[3].id]
    for event, attempts in zip(events[1:3], (relay.SUSPECT_AFTER, 0), strict=True):
        row = event_row(event)
        assert (row.attempts, row.leased_until) == (attempts, None)
    for event in batch.events:
        lease_runs_out(event)


def test_one_bad_event_does_not_spoil_a_batch(tenants: Tenants) -> None:
    calls: list[list[str]] = []

    def handler(events: list[OutboxEvent]) -> None:
        calls.append([e.aggregate for e in events])
        if any(e.payload.get("bad") for e in events):
            raise ValueError("bad")

    with subscribed("test.batch", handler, batch=True):
        emit(tenants, "test.batch", aggregate="obj_1")
        bad = emit(tenants, "test.batch", aggregate="obj_2", bad=True)
        good = emit(tenants, "test.batch", aggregate="obj_3")
        drain()

    assert calls[0] == ["obj_1", "obj_2", "obj_3"]
    assert calls[1:] == [["obj_1"], ["obj_2"], ["obj_3"]]
    assert event_row(bad).delivered_at is None
    assert event_row(good).delivered_at is not None


def test_a_handlers_own_database_error_fails_its_event_alone(tenants: Tenants) -> None:
    def handler(event: OutboxEvent) -> None:
        if event.payload.get("stuck"):
            raise OperationalError("deadlock detected")

    with subscribed("test.stuck", handler):
        stuck = emit(tenants, "test.stuck", stuck=True)
        other = emit(tenants, "test.stuck")
        drain()

    assert "deadlock" in event_row(stuck).last_error
    assert event_row(other).delivered_at is not None


def test_a_lost_database_judges_no_event(tenants: Tenants) -> None:
    def handler(_: OutboxEvent) -> None:
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    with subscribed("test.cut", handler):
        event = emit(tenants, "test.cut")
        with pytest.raises(OperationalError):
            drain()

    assert event_row(event).last_error == ""
    lease_runs_out(event)
    drain()
    assert event_row(event).delivered_at is not None


def test_a_damaged_audit_chain_stops_no_event(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> int:
        raise IntegrityError("duplicate key value violates audit_chain_place")

    monkeypatch.setattr(relay, "seal_audit_records", damaged)
    event = emit(tenants, "test.damaged")
    stop = threading.Event()
    seen: list[str] = []

    def handler(_: OutboxEvent) -> None:
        seen.append("x")
        if len(seen) == 2:
            stop.set()

    with subscribed("test.damaged", handler):
        threading.Timer(1.5, lambda: emit(tenants, "test.damaged")).start()
        threading.Timer(60, stop.set).start()
        relay.run(stop)

    assert seen == ["x", "x"]
    assert event_row(event).delivered_at is not None


def test_several_relays_share_the_work_and_keep_the_order(tenants: Tenants) -> None:
    seen: list[tuple[str, int]] = []
    lock = threading.Lock()

    def handler(event: OutboxEvent) -> None:
        with lock:
            seen.append((event.aggregate, event.payload["n"]))

    def work() -> None:
        try:
            for _ in range(60):
                relay.relay_once(limit=7)
        finally:
            connection.close()

    with subscribed("test.many", handler):
        for number in range(40):
            for aggregate in ("obj_x", "obj_y", "obj_z"):
                emit(tenants, "test.many", aggregate=aggregate, n=number)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        drain()

    assert set(Counter(seen).values()) == {1}
    for aggregate in ("obj_x", "obj_y", "obj_z"):
        assert [n for a, n in seen if a == aggregate] == list(range(40))


def test_a_backlog_of_one_tenant_delays_no_other(tenants: Tenants, admin_dsn: str) -> None:
    greedy, platform = make_tenants(users=False), "test.turns.platform"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO core_outboxevent (id, created_at, merchant_id, reseller_id, livemode,"
            " type, aggregate, object_id, request_id, payload, attempts, last_error)"
            " SELECT gen_random_uuid(), now(), %s, %s, false, 'test.turns', 'obj_' || n, '', '',"
            " '{}', 0, '' FROM generate_series(1, 10000) AS n",
            [greedy.merchant.id, greedy.reseller.id],
        )
        own = emit(tenants, "test.turns")
        admin.execute(
            "INSERT INTO core_outboxevent (id, created_at, livemode, type, aggregate, object_id,"
            " request_id, payload, attempts, last_error)"
            " VALUES (gen_random_uuid(), now(), false, %s, 'obj_platform', '', '', '{}', 0, '')",
            [platform],
        )
        try:
            batch = relay.lease()
        finally:
            admin.execute(
                "DELETE FROM core_outboxevent WHERE merchant_id = %s", [greedy.merchant.id]
            )
    assert own.id in {event.id for event in batch.events}
    assert platform in {event.type for event in batch.events}
    of_greedy = [event for event in batch.events if event.merchant_id == greedy.merchant.id]
    assert len(of_greedy) == relay.BATCH // 2 + 1


def test_a_lost_valkey_holds_no_event_back(tenants: Tenants) -> None:
    dead = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        }
    }
    with override_settings(CHANNEL_LAYERS=dead):
        event = emit(tenants, "payment.completed", aggregate="pay_x", status="completed")
        drain()

    assert event_row(event).delivered_at is not None


def test_the_lag_is_the_age_of_the_oldest_waiting_event(tenants: Tenants) -> None:
    drain()
    assert relay.relay_lag_s() == 0.0
    event = emit(tenants, "test.lag")
    worker_sql(
        "UPDATE core_outboxevent SET created_at = created_at - interval '90 s'"
        " WHERE id = %s RETURNING 1",
        [event.id],
    )
    assert 89 < relay.relay_lag_s() < 120
    drain()
    assert relay.relay_lag_s() == 0.0


def test_a_merchant_cannot_change_or_remove_events(tenants: Tenants) -> None:
    from django.db import ProgrammingError

    event = emit(tenants, "test.kept")
    for sql in (
        "UPDATE core_outboxevent SET delivered_at = now() WHERE id = %s",
        "DELETE FROM core_outboxevent WHERE id = %s",
    ):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            tenant_atomic(tenants.scope),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, [event.id])
    assert event_row(event).delivered_at is None
