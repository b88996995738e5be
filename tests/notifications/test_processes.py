"""Relay and worker as processes of their own: killed, restarted, their broker flushed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings

from tests.core.support import ROOT, emit, eventually, start_child
from tests.factories import Tenants
from tests.notifications.receiver import Receiver
from tests.notifications.support import deliveries, endpoint, happen, send

# One worker for all of them: they share a broker, and one of them flushes it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("broker"),
    pytest.mark.usefixtures("own_database"),
]

# A broker database apart from the other tests', whose tasks this worker must not take.
BROKER = urlunsplit(urlsplit(django_settings.REDIS_URL)._replace(path="/14"))


@pytest.fixture(autouse=True)
def _own_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", BROKER)
    monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "true")
    redis.Redis.from_url(BROKER).flushdb()


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


def arrives(receiver: Receiver) -> None:
    """Wait for the first request. The relay's call to the workers may be lost, by design: then it
    is beat, which asks every few seconds, that finds what is due."""
    for _ in range(8):
        with suppress(AssertionError):
            eventually(lambda: receiver.requests, timeout_s=15)
            return
        with Celery(broker=BROKER, set_as_current=False) as beat:
            beat.send_task("notifications.send_due_webhooks", queue="webhooks")
    raise AssertionError("no request came, though the worker was asked again")


def test_an_event_travels_through_relay_and_worker(
    tenants: Tenants, receiver: Receiver, tmp_path: Path
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    with relay_process(tmp_path), worker_process():
        event = emit(tenants, "payment.completed", aggregate="pay_1")
        arrives(receiver)
        eventually(lambda: deliveries(target)[0].state == "delivered")
    assert [e["id"] for e in receiver.verified(secret)] == [event.public_id]


def test_a_worker_killed_while_sending_costs_a_repetition(
    tenants: Tenants, receiver: Receiver, tmp_path: Path
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    receiver.delay_s = 10
    with relay_process(tmp_path), worker_process() as worker:
        emit(tenants, "payment.completed", aggregate="pay_1")
        arrives(receiver)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    [row] = deliveries(target)
    assert (row.state, row.attempts) == ("pending", 1)
    receiver.delay_s = 0

    def sent_again() -> bool:
        send()
        return deliveries(target)[0].state == "delivered"

    eventually(sent_again, timeout_s=10)  # as soon as PostgreSQL has noticed its end

    assert deliveries(target)[0].attempts == 2
    first, second = receiver.verified(secret)
    assert first == second


def test_a_flushed_broker_loses_no_event(
    tenants: Tenants, receiver: Receiver, tmp_path: Path
) -> None:
    target, secret = endpoint(tenants, receiver.url)
    with relay_process(tmp_path):
        event = emit(tenants, "payment.completed", aggregate="pay_1")
        eventually(lambda: deliveries(target))
        eventually(lambda: redis.Redis.from_url(BROKER).llen("webhooks"))
        redis.Redis.from_url(BROKER).flushdb()
    assert receiver.requests == []

    send()  # what beat asks for every few seconds

    assert [e["id"] for e in receiver.verified(secret)] == [event.public_id]


def test_events_of_a_merchant_without_endpoints_cost_nothing(tenants: Tenants) -> None:
    happen(tenants)
    assert redis.Redis.from_url(BROKER).llen("webhooks") == 0
