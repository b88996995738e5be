"""Handing work to a worker: never an error, never a wait that a caller would notice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from core.enqueue import enqueue
from tests.frozen import Frozen, own_broker

#: A limit that only ends what hangs: it used to take 16 to 21 s.
HANGS_S = 5.0


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    with own_broker(monkeypatch) as server:
        yield server


def _queued(server: Frozen) -> list[str]:
    client = redis.Redis.from_url(server.url, socket_timeout=5)
    return [json.loads(each)["headers"]["task"] for each in client.lrange("celery", 0, -1)]


def test_a_task_is_queued_by_its_name(broker: Frozen) -> None:
    assert enqueue("core.sweep_inbox") is True
    assert enqueue("intents.check", "some-id") is True
    assert sorted(_queued(broker)) == ["core.sweep_inbox", "intents.check"]


def test_a_task_of_another_queue_goes_there(broker: Frozen) -> None:
    assert enqueue("notifications.send_due_webhooks", expires_s=60)
    assert redis.Redis.from_url(broker.url, socket_timeout=5).llen("webhooks") == 1


@pytest.mark.parametrize("connected", [True, False])
def test_a_frozen_broker_holds_nobody_up(broker: Frozen, connected: bool) -> None:
    if connected:
        assert enqueue("core.sweep_inbox")
    broker.freeze()
    began = time.monotonic()
    assert [enqueue("core.sweep_inbox") for _ in range(50)].count(True) == 0
    assert time.monotonic() - began < HANGS_S


def test_what_waits_at_a_frozen_broker_at_the_same_time_waits_once(broker: Frozen) -> None:
    broker.freeze()
    began = time.monotonic()
    threads = [threading.Thread(target=enqueue, args=("core.sweep_inbox",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert time.monotonic() - began < HANGS_S


def test_a_broker_that_is_back_is_used_again(broker: Frozen) -> None:
    broker.freeze()
    assert not enqueue("core.sweep_inbox")
    broker.thaw()
    ends_at = time.monotonic() + 30
    while not enqueue("intents.check", "later"):
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    assert "intents.check" in _queued(broker)


def test_a_broker_that_is_gone_is_no_error(broker: Frozen) -> None:
    assert enqueue("core.sweep_inbox")
    broker.process.kill()
    broker.process.wait()
    assert [enqueue("core.sweep_inbox") for _ in range(3)] == [False] * 3


def test_a_connection_that_broke_is_made_again_at_once(broker: Frozen) -> None:
    """As after the broker's restart: the socket from before is dead, the server is there."""
    assert enqueue("core.sweep_inbox")
    client = redis.Redis.from_url(broker.url, socket_timeout=5)
    client.client_kill_filter(skipme=True, _type="normal")
    assert enqueue("intents.check", "an-id")
