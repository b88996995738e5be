"""A worker whose broker did not answer takes work again once it does."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import kombu
import pytest
from celery import current_app

from tests.frozen import Frozen, own_valkey

QUEUE = "work"
#: Long enough for a machine that is busy; the answers of a frozen one are given up after this.
ANSWER_S = 2.0
HANGS_S = 30.0
log = logging.getLogger(__name__)


@pytest.fixture
def server() -> Iterator[Frozen]:
    with own_valkey() as server:
        yield server


class Worker:
    """A consumer with room for one message, as a worker of one process has."""

    def __init__(self, server: Frozen) -> None:
        self.connection = current_app.connection_for_read(
            server.url, transport_options={"socket_timeout": ANSWER_S}
        )
        self.taken: list[kombu.Message] = []
        self._consumer = kombu.Consumer(
            self.connection.channel(),
            kombu.Queue(QUEUE),
            on_message=self.taken.append,
            accept=["json"],
            prefetch_count=1,
        )
        self._consumer.consume()
        self._producer = kombu.Producer(self.connection.channel())

    def send(self, text: str) -> None:
        self._producer.publish(text, routing_key=QUEUE, serializer="json")

    def take(self, count: int) -> None:
        ends_at = time.monotonic() + HANGS_S
        while len(self.taken) < count:
            assert time.monotonic() < ends_at, "the worker takes nothing any more"
            try:
                self.connection.drain_events(timeout=1)
            except TimeoutError:
                continue


@pytest.fixture
def worker(server: Frozen) -> Iterator[Worker]:
    worker = Worker(server)
    yield worker
    server.thaw()
    worker.connection.release()


def test_an_acknowledgement_that_was_not_answered_keeps_no_place(
    server: Frozen, worker: Worker
) -> None:
    worker.send("first")
    worker.take(1)
    server.freeze()
    worker.taken[0].ack_log_error(log, worker.connection.connection_errors)
    server.thaw()

    worker.send("second")
    worker.take(2)

    assert [message.payload for message in worker.taken] == ["first", "second"]


def test_a_message_given_back_to_a_silent_broker_keeps_no_place(
    server: Frozen, worker: Worker
) -> None:
    worker.send("first")
    worker.take(1)
    server.freeze()
    worker.taken[0].reject_log_error(log, worker.connection.connection_errors, requeue=False)
    server.thaw()

    worker.send("second")
    worker.take(2)

    assert worker.taken[1].payload == "second"


def test_a_worker_takes_one_message_at_a_time(worker: Worker) -> None:
    worker.send("first")
    worker.send("second")
    worker.take(1)
    with pytest.raises(TimeoutError):
        worker.connection.drain_events(timeout=1)
    worker.taken[0].ack()
    worker.take(2)

    assert [message.payload for message in worker.taken] == ["first", "second"]
