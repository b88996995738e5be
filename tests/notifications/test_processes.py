"""Relay and worker as processes of their own: killed, restarted, their broker flushed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from celery import Celery

from tests.core.support import DIES_WITHIN_S, ROOT, emit, eventually, start_child
from tests.factories import Tenants
from tests.frozen import own_broker, own_valkey
from tests.notifications.receiver import Receiver
from tests.notifications.support import deliveries, endpoint, happen, send

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_database")]


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker of the test's own: its processes take no other test's tasks, and it is flushed."""
    with own_valkey() as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "true")
        yield server.url


@contextmanager
def relay_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    child = start_child(tmp_path / "relay.log")
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=60)


@contextmanager
def worker_process() -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen(
        (
            f"{sys.executable} -m celery -A config worker --concurrency 1"
            " --without-gossip --without-mingle --without-heartbeat"
        ).split(),
        cwd=ROOT,
        env=os.environ.copy(),
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def arrives(receiver: Receiver, broker: str) -> None:
    """Wait for the first request. The relay's call to the workers may be lost, by design: then it
    is beat, which asks every few seconds, that finds what is due."""
    for _ in range(8):
        with suppress(AssertionError):
            eventually(lambda: receiver.requests, timeout_s=15)
            return
        with Celery(broker=broker, set_as_current=False) as beat:
            beat.send_task("notifications.send_due_webhooks", queue="webhooks")
    raise AssertionError("no request came, though the worker was asked again")


def test_an_event_travels_through_relay_and_worker(
    tenants: Tenants, receiver: Receiver, tmp_path: Path, broker: str
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    with relay_process(tmp_path), worker_process():
        event = emit(tenants, "payment.completed", aggregate="pay_1")
        arrives(receiver, broker)
        eventually(lambda: deliveries(target)[0].state == "delivered")
    assert [e["id"] for e in receiver.verified(secret)] == [event.public_id]


def test_a_worker_killed_while_sending_costs_a_repetition(
    tenants: Tenants, receiver: Receiver, tmp_path: Path, broker: str
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    receiver.delay_s = 10
    with relay_process(tmp_path), worker_process() as worker:
        emit(tenants, "payment.completed", aggregate="pay_1")
        arrives(receiver, broker)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    [row] = deliveries(target)
    assert (row.state, row.attempts) == ("pending", 1)
    receiver.delay_s = 0

    def sent_again() -> bool:
        send()
        return deliveries(target)[0].state == "delivered"

    # As soon as PostgreSQL has noticed its end.
    eventually(sent_again, timeout_s=DIES_WITHIN_S)

    assert deliveries(target)[0].attempts == 2
    first, second = receiver.verified(secret)
    assert first == second


def test_a_flushed_broker_loses_no_event(
    tenants: Tenants, receiver: Receiver, tmp_path: Path, broker: str
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    with relay_process(tmp_path):
        event = emit(tenants, "payment.completed", aggregate="pay_1")
        eventually(lambda: deliveries(target))
        eventually(lambda: redis.Redis.from_url(broker).llen("webhooks"))
        redis.Redis.from_url(broker).flushdb()
    assert receiver.requests == []

    send()  # what beat asks for every few seconds

    assert [e["id"] for e in receiver.verified(secret)] == [event.public_id]


def test_events_of_a_merchant_without_endpoints_call_no_worker(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_broker(monkeypatch) as own:
        queue = redis.Redis.from_url(own.url)
        happen(tenants)
        assert queue.llen("webhooks") == 0
        endpoint(tenants, receiver.url)
        happen(tenants)
        assert queue.llen("webhooks") == 1
