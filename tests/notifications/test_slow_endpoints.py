"""Endpoints that answer slowly, or have a long backlog, hold up nobody but themselves."""

from __future__ import annotations

import threading
from collections import Counter

import psycopg
import pytest
from django.db import connection

from notifications.services import delivery, lanes
from tests.core.support import eventually
from tests.factories import Tenants, make_tenants
from tests.notifications.receiver import Receiver, running_receiver
from tests.notifications.support import (
    FEW,
    FEW_SLOW,
    deliveries,
    due_now,
    endpoint,
    fresh,
    happen,
    send,
)


def test_a_slow_endpoint_is_cut_off(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_S", 0.3)
    receiver.delay_s = 2
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants)

    send()

    [row] = deliveries(target)
    assert (row.state, row.last_status) == ("pending", None)
    assert "within 0.3 s" in row.last_error


def test_a_slow_endpoint_holds_up_nobody_else(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given one that answers slowly, when another's event becomes due meanwhile, it is sent."""
    monkeypatch.setattr(delivery, "LOOK_AGAIN_S", 0.05)
    answers = threading.Event()
    receiver.before_answer = answers.wait
    endpoint(tenants, receiver.url)
    for number in range(20):
        happen(tenants, aggregate=f"pay_{number}")
    with running_receiver() as quick:
        other = make_tenants()
        target, _ = endpoint(other, quick.url)
        lanes_of_few = {"quick": FEW, "slow": FEW_SLOW}
        sender = threading.Thread(target=delivery.send_due, kwargs={**lanes_of_few, "budget_s": 60})
        sender.start()
        eventually(lambda: receiver.requests)
        happen(other)
        eventually(lambda: quick.requests, timeout_s=30)
        waiting = len(receiver.requests)
        answers.set()
        sender.join()
    assert [row.state for row in deliveries(target)] == ["delivered"]
    # Two of four threads at first, and then one of the slow lane's: what an endpoint may have.
    assert 2 <= waiting <= 6


def test_a_long_backlog_of_one_endpoint_delays_nobody_else(
    tenants: Tenants, receiver: Receiver, admin_dsn: str
) -> None:
    """Given 5,000 older deliveries of one endpoint, a claim holds the newest of another's too."""
    busy, _ = endpoint(tenants, receiver.url)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        due_now(admin, busy, 5_000)
        target, _ = endpoint(make_tenants(), receiver.url)
        due_now(admin, target, 1)

        first = lanes.lease(lanes.QUICK, limit=16)
        again = lanes.lease(lanes.QUICK, limit=16, under_way=first)
        admin.execute("DELETE FROM notifications_webhookdelivery WHERE endpoint_id = %s", [busy.id])
    leased = Counter(row.endpoint_id for row in first)
    assert leased == {busy.id: lanes.QUICK.per_endpoint, target.id: 1}
    assert again == []


def test_the_endpoints_of_one_merchant_share_what_is_its(
    tenants: Tenants, receiver: Receiver, admin_dsn: str
) -> None:
    mine = [endpoint(tenants, receiver.url)[0] for _ in range(16)]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        for target in mine:
            due_now(admin, target, 3)
        other, _ = endpoint(make_tenants(), receiver.url)
        due_now(admin, other, 1)
        leased = lanes.lease(lanes.QUICK, limit=16)
    of = Counter(row.endpoint_id for row in leased)
    assert of.pop(other.id) == 1
    # One to each of so many endpoints, and not all that a few of them have.
    assert list(of.values()) == [1] * lanes.QUICK.per_merchant


def test_slow_endpoints_of_one_merchant_delay_no_other(
    tenants: Tenants, receiver: Receiver
) -> None:
    """Sixteen endpoints that keep their sender waiting, each with a backlog, and the quick one of
    another merchant, whose event commits while all of them are being sent to."""
    release = threading.Event()
    with running_receiver() as tarpit:
        tarpit.before_answer = release.wait
        slow = [endpoint(tenants, tarpit.url)[0] for _ in range(16)]
        other = make_tenants()
        target, secret = endpoint(other, receiver.url)
        for _ in range(3):
            happen(tenants)
        sender = threading.Thread(target=_send_and_close)
        sender.start()
        try:
            eventually(lambda: len(tarpit.requests) >= FEW.per_merchant)
            event = happen(other)
            eventually(lambda: receiver.requests, timeout_s=12)
            assert not release.is_set()
            eventually(lambda: len(tarpit.requests) >= FEW.per_merchant + FEW_SLOW.per_merchant)
        finally:
            release.set()
            sender.join()
    assert [sent["id"] for sent in receiver.verified(secret)] == [event.public_id]
    assert {row.state for each in slow for row in deliveries(each)} == {"delivered"}
    assert fresh(target).answers_slowly is False


def _send_and_close() -> None:
    try:
        send()
    finally:
        connection.close()


def test_an_endpoint_is_slow_for_as_long_as_its_last_answer_was(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    monkeypatch.setattr(lanes, "SLOW_AFTER_S", 0.0)
    happen(tenants)
    send()
    assert fresh(target).answers_slowly is True
    happen(tenants)
    assert lanes.lease(lanes.QUICK, limit=10) == []

    monkeypatch.setattr(lanes, "SLOW_AFTER_S", 3_600.0)
    send()
    assert fresh(target).answers_slowly is False


def test_who_answers_200_and_is_slow_with_the_body_has_got_it(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BODY_TIMEOUT_S", 0.2)
    target, _ = endpoint(tenants, receiver.url)
    release = threading.Event()
    receiver.before_body = release.wait
    happen(tenants)
    send()
    release.set()
    [row] = deliveries(target)
    assert (row.state, row.attempts, row.last_status) == ("delivered", 1, 200)
