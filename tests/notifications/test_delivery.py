"""Webhooks over real HTTP: signed, retried, disabled, never sent twice for one event."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from core import liveness
from core.context import bind_request_id
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from notifications import retries, services, signing, tasks
from notifications.models import WebhookEndpoint
from notifications.services import lanes
from notifications.services import mail as notification_mail
from tests.core.support import drain, event_row, worker_sql
from tests.factories import Tenants, make_tenants
from tests.notifications.receiver import Receiver, running_receiver
from tests.notifications.support import (
    attempts,
    deliveries,
    endpoint,
    fresh,
    happen,
    send,
    time_passes,
)
from tests.threads import no_more_threads


def mails_about(receiver: Receiver) -> list[mail.EmailMessage]:
    return [message for message in mail.outbox if receiver.url in message.body]


def wait_s(target: WebhookEndpoint) -> float:
    """Seconds until the next attempt of the endpoint's only delivery."""
    [row] = deliveries(target)
    assert row.next_attempt_at is not None
    return (row.next_attempt_at - timezone.now()).total_seconds()


def test_sends_a_signed_event_to_the_endpoint_that_wants_it(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, secret = endpoint(tenants, receiver.url, ["payment.completed"])
    with bind_request_id("req-webhook-0001"):
        event = happen(tenants, aggregate="pay_1", status="completed", amount=1200)
        happen(tenants, "payment.created", aggregate="pay_1")
        happen(tenants, "internal.thing", aggregate="x_1")

    send()

    assert [e["id"] for e in receiver.verified(secret)] == [event.public_id]
    request = receiver.requests[0]
    assert request.headers["webhook-id"] == event.public_id
    assert request.headers["x-request-id"] == "req-webhook-0001"
    assert request.event["type"] == "payment.completed"
    assert request.event["data"] == {"status": "completed", "amount": 1200}
    [row] = deliveries(target)
    assert (row.state, row.attempts, row.last_status) == ("delivered", 1, 200)
    [attempt] = attempts(row)
    assert (attempt.status, attempt.response_excerpt) == (200, "thanks")


def test_a_forged_or_altered_webhook_does_not_verify(tenants: Tenants, receiver: Receiver) -> None:
    _, secret = endpoint(tenants, receiver.url)
    happen(tenants)
    send()
    request = receiver.requests[0]

    signing.verify(secret=secret, headers=request.headers, body=request.body)
    renamed = {**request.headers, "webhook-id": "x"}
    nothing: dict[str, str] = {}
    for wrong_secret, headers, body in (
        (signing.new_secret(), request.headers, request.body),
        (secret, request.headers, request.body + b" "),
        (secret, renamed, request.body),
        (secret, nothing, request.body),
    ):
        with pytest.raises(signing.SignatureInvalid):
            signing.verify(secret=wrong_secret, headers=headers, body=body)
    with pytest.raises(signing.SignatureInvalid, match="timestamp"):
        signing.verify(
            secret=secret,
            headers=request.headers,
            body=request.body,
            now_s=timezone.now().timestamp() + 301,
        )


def test_the_modes_and_the_merchants_do_not_mix(tenants: Tenants, receiver: Receiver) -> None:
    live, _ = endpoint(tenants, receiver.url, livemode=True)
    foreign, _ = endpoint(make_tenants(), receiver.url)

    happen(tenants)
    send()

    assert receiver.requests == []
    assert deliveries(live) == []
    assert deliveries(foreign) == []


def test_a_relay_that_repeats_an_event_makes_one_delivery(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    event = happen(tenants)
    send()
    worker_sql(
        "UPDATE core_outboxevent SET delivered_at = NULL WHERE id = %s RETURNING 1", [event.id]
    )
    drain()
    send()

    assert len(deliveries(target)) == 1
    assert len(receiver.requests) == 1
    assert event_row(event).last_error == ""
    assert event_row(event).delivered_at is not None


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500, 503])
def test_anything_but_2xx_is_tried_again(tenants: Tenants, receiver: Receiver, status: int) -> None:
    target, secret = endpoint(tenants, receiver.url)
    receiver.answer_next(status, location="http://169.254.169.254/")
    happen(tenants)

    send()

    [row] = deliveries(target)
    assert (row.state, row.attempts, row.last_status) == ("pending", 1, status)
    assert 2 < wait_s(target) <= 6
    assert len(receiver.requests) == 1

    time_passes(target)
    send()

    [row] = deliveries(target)
    assert (row.state, row.attempts) == ("delivered", 2)
    first, second = receiver.verified(secret)
    assert first == second
    assert fresh(target).failures_in_row == 0


def test_keeps_the_schedule_and_then_gives_up(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(*[500] * retries.MAX_ATTEMPTS)
    happen(tenants)
    waits: list[float] = []

    for _ in range(retries.MAX_ATTEMPTS):
        send()
        if deliveries(target)[0].state == "pending":
            waits.append(wait_s(target))
        time_passes(target)

    [row] = deliveries(target)
    assert row.state == "failed"
    assert row.attempts == len(receiver.requests) == 10
    for waited_s, planned_s in zip(waits, retries.DELAYS_S[1:], strict=True):
        assert planned_s * 0.8 - 1 <= waited_s <= planned_s * 1.2
    # Ten failures within seconds are an outage of seconds, not a dead endpoint.
    assert fresh(target).status == "enabled"


def test_retry_after_postpones_and_never_hastens(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(429, Retry_After="120")
    receiver.answer_next(429, Retry_After="1")
    happen(tenants)

    send()
    assert 115 < wait_s(target) <= 120
    time_passes(target)
    send()
    assert wait_s(target) > 200


def test_410_disables_the_endpoint_and_tells_the_owners(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(410)
    happen(tenants, aggregate="pay_1")
    send()
    assert mails_about(receiver) == []  # the sender itself waits for no mail server
    tasks.tell_of_disabled()
    tasks.tell_of_disabled()
    told = mails_about(receiver)
    happen(tenants, aggregate="pay_2")
    send()

    row = fresh(target)
    assert (row.status, row.disabled_reason) == ("disabled", "gone")
    assert len(receiver.requests) == 1
    assert [set(m.to) for m in told] == [
        {tenants.users["merchant.owner"].email, tenants.users["merchant.admin"].email}
    ]
    with tenant_atomic(tenants.scope):
        audited = AuditRecord.objects.filter(target=target.public_id)
        assert "webhook_endpoint.disable" in audited.values_list("action", flat=True)


def test_disabling_fails_the_delivery_that_caused_it_and_cancels_the_waiting_ones(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    other, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(503, 503)
    happen(tenants, aggregate="pay_1")
    send()
    with tenant_atomic(Scope.worker()):
        WebhookEndpoint.objects.filter(id=other.id).update(events=["customer.created"])
    receiver.answer_next(410)
    happen(tenants, aggregate="pay_2")
    send()

    assert [d.state for d in deliveries(target)] == ["canceled", "failed"]
    assert [d.state for d in deliveries(other)] == ["pending"]


def test_ten_failures_over_two_days_disable_the_endpoint(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants, aggregate="pay_1")
    happen(tenants, aggregate="pay_2")
    with tenant_atomic(Scope.worker()):
        WebhookEndpoint.objects.filter(id=target.id).update(
            failures_in_row=9, failing_since=timezone.now() - timedelta(days=2, minutes=1)
        )
    receiver.answer_next(500, 500)

    send()

    row = fresh(target)
    assert (row.status, row.disabled_reason) == ("disabled", "failures")
    assert all(d.state in ("failed", "canceled") for d in deliveries(target))
    tasks.tell_of_disabled()
    assert len(mails_about(receiver)) == 1


def test_an_endpoint_that_was_disabled_is_told_to_the_others(
    tenants: Tenants, receiver: Receiver
) -> None:
    gone, _ = endpoint(tenants, receiver.url, ["payment.*"])
    with running_receiver() as other:
        _, secret = endpoint(tenants, other.url, ["webhook_endpoint.*"])
        receiver.answer_next(410)
        happen(tenants)
        send()
        drain()
        send()
        [event] = other.verified(secret)
    assert (event["type"], event["data"]["id"]) == ("webhook_endpoint.disabled", gone.public_id)
    assert (event["data"]["status"], event["data"]["disabled_reason"]) == ("disabled", "gone")
    assert "secret" not in event["data"]


def test_a_mail_that_could_not_be_sent_is_sent_later(
    tenants: Tenants, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(410)
    happen(tenants)
    send()

    def away(**_: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(notification_mail, "mail_send", away)
        tasks.tell_of_disabled()
    assert mails_about(receiver) == []
    tasks.tell_of_disabled()  # not due yet
    assert mails_about(receiver) == []
    with tenant_atomic(Scope.worker()):
        WebhookEndpoint.objects.filter(id=target.id).update(tell_disabled_at=timezone.now())
    tasks.tell_of_disabled()
    assert len(mails_about(receiver)) == 1
    assert fresh(target).tell_disabled_at is None


def test_who_enables_the_endpoint_first_gets_no_mail(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    receiver.answer_next(410)
    happen(tenants)
    send()
    services.endpoint_update(
        actor=tenants.key_actor(),
        endpoint_id=target.public_id,
        spec=services.endpoint_spec(status="enabled"),
    )
    tasks.tell_of_disabled()
    assert mails_about(receiver) == []


def test_what_a_sender_that_died_had_under_way_is_sent_again(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants)
    leased = lanes.lease(lanes.QUICK, limit=100)
    assert [row.endpoint_id for row in leased] == [target.id]

    send()
    assert receiver.requests == []  # its process lives
    liveness.renew()  # as if it had died
    send()

    [row] = deliveries(target)
    assert (row.state, row.attempts) == ("delivered", 2)
    assert len(receiver.requests) == 1


def test_two_senders_never_send_the_same_delivery(tenants: Tenants, receiver: Receiver) -> None:
    target, _ = endpoint(tenants, receiver.url)
    for number in range(30):
        happen(tenants, aggregate=f"pay_{number}")

    def work() -> None:
        try:
            send()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(receiver.requests) == 30
    assert len({r.headers["webhook-id"] for r in receiver.requests}) == 30
    assert {d.state for d in deliveries(target)} == {"delivered"}


def test_both_secrets_sign_while_one_replaces_the_other(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, old = endpoint(tenants, receiver.url)
    _, new = services.endpoint_roll_secret(actor=tenants.key_actor(), endpoint_id=target.public_id)
    happen(tenants, aggregate="pay_1")
    send()
    assert receiver.verified(old) == receiver.verified(new)
    assert len(receiver.requests[0].headers["webhook-signature"].split()) == 2

    with tenant_atomic(Scope.worker()):
        WebhookEndpoint.objects.filter(id=target.id).update(previous_secret_until=timezone.now())
    happen(tenants, aggregate="pay_2")
    send()

    assert len(receiver.requests[1].headers["webhook-signature"].split()) == 1
    signing.verify(secret=new, headers=receiver.requests[1].headers, body=receiver.requests[1].body)
    with pytest.raises(signing.SignatureInvalid):
        receiver.verified(old)


def test_an_address_that_turned_inside_is_not_called(
    tenants: Tenants, receiver: Receiver, settings
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants)
    settings.ALLOW_LOOPBACK_WEBHOOKS = False

    send()

    assert receiver.requests == []
    [row] = deliveries(target)
    assert row.state == "pending"
    assert "https" in row.last_error


def test_a_huge_answer_is_cut_and_a_huge_event_sent_thin(
    tenants: Tenants, receiver: Receiver
) -> None:
    receiver.body = b"x" * 1_000_000 + b"\x00"
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants, aggregate="pay_big", note="y" * 30_000)

    send()

    assert receiver.requests[0].event["data"] == {"id": "pay_big"}
    assert receiver.requests[0].event["truncated"] is True
    [row] = deliveries(target)
    assert len(attempts(row)[0].response_excerpt) == 1000
    assert row.state == "delivered"


def test_a_sender_that_gets_no_thread_leaves_the_delivery_due(
    tenants: Tenants, receiver: Receiver
) -> None:
    target, _ = endpoint(tenants, receiver.url)
    happen(tenants)
    liveness.holder()
    with no_more_threads():
        send()
    [row] = deliveries(target)
    assert (row.state, receiver.requests) == ("pending", [])

    time_passes(target)
    send()
    assert [row.state for row in deliveries(target)] == ["delivered"]
