"""Inbound webhooks: stored once, processed at least once, parked until their object appears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from core import inbox, liveness
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import Conflict
from core.ids import new_id
from core.inbox import Result, Verdict
from core.models import AuditRecord, InboxMessage
from tests.core.support import drain, emit, worker_sql
from tests.factories import make_tenants

STAFF = Actor(kind="user", id="usr_staff", label="Staff", platform=True)


@pytest.fixture(autouse=True)
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """No worker runs in these tests: what would be enqueued is remembered instead."""
    seen: list[UUID] = []
    monkeypatch.setattr(inbox, "_enqueue", seen.append)
    return seen


@pytest.fixture
def provider() -> Iterator[str]:
    name = f"p{new_id().hex[-8:]}"
    yield name
    inbox._processors.pop(name, None)


def receive(provider: str, event_id: str = "evt_1", **more: Any) -> tuple[InboxMessage, bool]:
    fields = {"account_id": new_id(), "raw": b'{"a": 1}', "headers": {"Cookie": "x"}, **more}
    return inbox.receive(provider=provider, event_id=event_id, parsed_type="a.b", **fields)


def row(message: InboxMessage) -> InboxMessage:
    with tenant_atomic(Scope.worker()):
        return InboxMessage.objects.get(id=message.id)


def make_due(message: InboxMessage) -> None:
    worker_sql(
        "UPDATE core_inboxmessage SET next_attempt_at = clock_timestamp() WHERE id = %s"
        " RETURNING 1",
        [message.id],
    )


def test_stores_the_raw_bytes_once_and_enqueues_once(provider: str, enqueued: list[UUID]) -> None:
    account = new_id()
    inbox.register_processor(
        provider, lambda _: Result(Verdict.PROCESSED), signature_headers=("Stripe-Signature",)
    )
    headers = {"Stripe-Signature": "t=1,v1=x", "Cookie": "secret", "Authorization": "secret"}
    first, created = receive(provider, account_id=account, raw=b"\x00\xffraw", headers=headers)
    again, created_again = receive(provider, account_id=account, raw=b"other")
    elsewhere, created_elsewhere = receive(provider, account_id=new_id())

    assert (created, created_again, created_elsewhere) == (True, False, True)
    assert again.id == first.id != elsewhere.id
    stored = row(first)
    assert bytes(stored.raw) == b"\x00\xffraw"
    assert stored.headers == {"stripe-signature": "t=1,v1=x"}
    assert enqueued == [first.id, elsewhere.id]


def test_fifty_duplicates_at_once_are_one_message(provider: str) -> None:
    account = new_id()

    def one(_: int) -> bool:
        try:
            return receive(provider, account_id=account)[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        created = list(pool.map(one, range(50)))

    assert created.count(True) == 1
    assert worker_sql("SELECT count(*) FROM core_inboxmessage WHERE provider = %s", [provider]) == [
        (1,)
    ]


def test_processes_a_message_once(provider: str) -> None:
    seen: list[bytes] = []

    def processor(message: InboxMessage) -> Result:
        seen.append(bytes(message.raw))
        return Result(Verdict.PROCESSED)

    inbox.register_processor(provider, processor)
    message, _ = receive(provider)

    assert inbox.process(message.id) == "processed"
    assert inbox.process(message.id) == ""
    assert seen == [b'{"a": 1}']
    assert row(message).processed_at is not None


def test_two_workers_do_not_meet_on_one_message(provider: str) -> None:
    inner: list[str] = []

    def processor(message: InboxMessage) -> Result:
        inner.append(inbox.process(message.id))
        return Result(Verdict.PROCESSED)

    inbox.register_processor(provider, processor)
    message, _ = receive(provider)

    assert inbox.process(message.id) == "processed"
    assert inner == [""]


@pytest.mark.usefixtures("own_database")
def test_a_worker_that_died_is_repeated_by_the_sweep(provider: str) -> None:
    message, _ = receive(provider)
    assert inbox._lease(message.id) is not None
    assert inbox.sweep() == []  # its worker lives

    liveness.renew()  # as if it had been killed

    assert inbox.sweep() == [message.id]


@pytest.mark.usefixtures("own_database")
def test_a_merchant_with_many_messages_delays_no_other(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task does the message whose lane's turn it is, whoever's message it came for."""
    processed: list[UUID] = []

    def processor(message: InboxMessage) -> Result:
        processed.append(message.lane_id)
        return Result(Verdict.PROCESSED)

    inbox.register_processor(provider, processor)
    greedy, other = new_id(), new_id()
    monkeypatch.setattr(inbox, "_lane_finders", [{"of-greedy": greedy, "of-other": other}.get])
    for number in range(20):
        receive(provider, f"evt_{number}", reference="of-greedy")
    receive(provider, "evt_other", reference="of-other")

    for _ in range(2):
        assert inbox.process_next() == "processed"
    assert set(processed) == {greedy, other}

    for _ in range(20):
        inbox.process_next()
    assert processed.count(greedy) == 20
    assert inbox.process_next() == ""


@pytest.mark.usefixtures("own_database")
def test_a_sweep_takes_the_lanes_in_turn(provider: str) -> None:
    greedy, other = new_id(), new_id()
    for number in range(20):
        make_due(receive(provider, f"evt_{number}", account_id=greedy)[0])
    message, _ = receive(provider, "evt_1", account_id=other)
    make_due(message)
    swept = inbox.sweep()
    with tenant_atomic(Scope.worker()):
        lanes = dict(InboxMessage.objects.filter(id__in=swept).values_list("id", "lane_id"))
    before = [lanes[found] for found in swept[: swept.index(message.id)]]
    assert before.count(greedy) == 1


@pytest.mark.usefixtures("own_database")
def test_a_message_whose_task_was_lost_is_found_by_the_sweep(provider: str) -> None:
    message, _ = receive(provider)
    waited = (
        "UPDATE core_inboxmessage SET received_at = clock_timestamp() - %s"
        " WHERE id = %s RETURNING 1"
    )
    worker_sql(waited, [timedelta(seconds=inbox.TASK_LOST_AFTER_S - 3_600), message.id])
    assert inbox.sweep() == []
    worker_sql(waited, [timedelta(seconds=inbox.TASK_LOST_AFTER_S), message.id])
    assert inbox.sweep() == [message.id]


@pytest.mark.usefixtures("own_database")
def test_waits_for_an_object_that_we_do_not_know_yet(provider: str, enqueued: list[UUID]) -> None:
    known: set[str] = set()

    def processor(message: InboxMessage) -> Result:
        if "pay_later" in known:
            return Result(Verdict.PROCESSED)
        return Result(Verdict.PARKED, reference="pay_later")

    inbox.register_processor(provider, processor)
    message, _ = receive(provider)
    assert inbox.process(message.id) == "parked"
    assert row(message).reference == "pay_later"
    enqueued.clear()

    known.add("pay_later")
    emit(make_tenants(users=False), "test.appeared", aggregate="pay_later")
    drain()

    assert enqueued == [message.id]
    assert inbox.process(message.id) == "processed"
    assert inbox.match_parked("pay_later", "") == 0


def test_gives_up_a_parked_message_after_three_days(provider: str) -> None:
    inbox.register_processor(provider, lambda _: Result(Verdict.PARKED, reference="pay_never"))
    message, _ = receive(provider)
    for _ in range(inbox.MAX_ATTEMPTS + 2):
        assert inbox.process(message.id) == "parked"
        make_due(message)
    worker_sql(
        "UPDATE core_inboxmessage SET received_at = received_at - interval '3 days 1 second'"
        " WHERE id = %s RETURNING 1",
        [message.id],
    )

    assert inbox.process(message.id) == "quarantined"
    assert "pay_never" in row(message).last_error


def test_a_poison_message_is_quarantined_and_can_be_released(provider: str) -> None:
    def processor(_: InboxMessage) -> Result:
        raise ValueError("broken \x00 payload")

    inbox.register_processor(provider, processor)
    message, _ = receive(provider)
    states = []
    for _ in range(inbox.MAX_ATTEMPTS):
        states.append(inbox.process(message.id))
        assert inbox.process(message.id) == ""  # not due yet
        make_due(message)

    assert states == ["failed"] * (inbox.MAX_ATTEMPTS - 1) + ["quarantined"]
    assert "ValueError: broken" in row(message).last_error
    assert inbox.process(message.id) == ""

    inbox.register_processor(provider, lambda _: Result(Verdict.PROCESSED))
    inbox.inbox_release(message_id=message.id, actor=STAFF)
    assert inbox.process(message.id) == "processed"
    with pytest.raises(Conflict):
        inbox.inbox_release(message_id=message.id, actor=STAFF)
    with tenant_atomic(Scope.staff()):
        [record] = AuditRecord.objects.filter(target=str(message.id))
    assert (record.action, record.actor_id) == ("inbox.released", "usr_staff")


@pytest.mark.usefixtures("own_database")
def test_what_kills_its_worker_is_quarantined(provider: str) -> None:
    class Killed(BaseException):
        pass

    killed = 0

    def processor(_: InboxMessage) -> Result:
        nonlocal killed
        killed += 1
        raise Killed

    inbox.register_processor(provider, processor)
    message, _ = receive(provider)
    for _ in range(inbox.MAX_ATTEMPTS):
        with pytest.raises(Killed):
            inbox.process(message.id)
        make_due(message)

    assert inbox.process(message.id) == "quarantined"
    assert killed == inbox.MAX_ATTEMPTS
    stored = row(message)
    assert (stored.attempts, stored.next_attempt_at) == (inbox.MAX_ATTEMPTS, None)
    assert stored.last_error.startswith("The worker was killed")
    assert inbox.sweep() == []


def test_looks_at_a_parked_message_are_no_failures(provider: str) -> None:
    inbox.register_processor(provider, lambda _: Result(Verdict.PARKED, reference="pay_later"))
    message, _ = receive(provider)
    for _ in range(inbox.MAX_ATTEMPTS + 2):
        assert inbox.process(message.id) == "parked"
        make_due(message)

    def broken(_: InboxMessage) -> Result:
        raise ValueError("once")

    inbox.register_processor(provider, broken)
    assert inbox.process(message.id) == "failed"
    assert row(message).attempts == 1


def test_a_parked_message_is_looked_at_after_as_long_as_it_has_waited(provider: str) -> None:
    inbox.register_processor(provider, lambda _: Result(Verdict.PARKED, reference="pay_later"))
    for waited_s, pause_s in ((0, 5), (600, 600), (86_400, 3_600)):
        message, _ = receive(provider, f"evt_{waited_s}")
        worker_sql(
            "UPDATE core_inboxmessage SET received_at = received_at - make_interval(secs => %s)"
            " WHERE id = %s RETURNING 1",
            [waited_s, message.id],
        )
        began = time.time()
        inbox.process(message.id)
        took_s = time.time() - began
        due = row(message).next_attempt_at
        assert due is not None
        assert pause_s - 1 < due.timestamp() - began < pause_s + 2 * took_s + 1


def test_tenants_never_see_the_inbox(provider: str) -> None:
    from django.db import ProgrammingError

    tenants = make_tenants(users=False)
    receive(provider)
    for scope in (tenants.scope, tenants.reseller_scope):
        with pytest.raises(ProgrammingError), tenant_atomic(scope):
            InboxMessage.objects.count()
