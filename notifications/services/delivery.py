"""The sender: leases due deliveries, posts them, records the answers.

The due time is in a row, not in a task that waits: the sweep finds what is lost with the broker. A
lease moves the due time and names its process; the deliveries of a sender that died are due again
at once (at least once; the `webhook-id` lets receivers deduplicate). `notifications.services.lanes`
decides the order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import structlog
from django.utils import timezone

from core import metrics
from core.context import Actor, bind_request_id
from core.crypto import CannotOpen
from core.db import Scope, assert_outside_transaction, fetch_all, tenant_atomic
from core.models import OutboxEvent
from core.outbound import (
    OutboundFailedError,
    OutboundRefusedError,
    OutboundResponse,
    guarded_request,
)
from core.pan import mask_card_numbers
from core.unit import Writes
from notifications import events, retries, signing
from notifications.lock_objects import lock_enabled_endpoint
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.payloads import webhook_body
from notifications.services import lanes, webhooks
from notifications.shapes import endpoint_out

log = structlog.get_logger(__name__)

BUDGET_S: Final = 50.0
#: How long the quick lane continues while the slow one finishes.
GRACE_S: Final = 25.0
TIMEOUT_S: Final = 15.0
#: For the excerpt in the log: an endpoint that has answered 2xx has received the event.
BODY_TIMEOUT_S: Final = 2.0
#: Both lanes, and what turned slow while the slow lane was full; a thread waits and costs little.
MAX_THREADS: Final = 256
#: How often a sender looks for deliveries of senders that died.
FREE_EVERY_S: Final = 2.0
#: While threads are free and others wait for an answer: when to look for what has become due.
LOOK_AGAIN_S: Final = 0.25
EXCERPT_CHARS: Final = 1_000
USER_AGENT: Final = "Merchantry-Webhooks/1.0"
SYSTEM: Final = Actor.system("webhooks")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One leased delivery with everything needed to send it, read before the first byte."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    event: OutboxEvent
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one attempt: an HTTP status, or why there was none."""

    status: int | None
    error: str
    excerpt: str
    retry_after: str | None
    duration_ms: int

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def slowly(self) -> bool:
        return self.duration_ms >= lanes.SLOW_AFTER_S * 1000


def send_due(
    *, budget_s: float = BUDGET_S, quick: lanes.Lane = lanes.QUICK, slow: lanes.Lane = lanes.SLOW
) -> int:
    """Send what is due until nothing is or the time is up; return how many attempts were made.

    A thread that is done takes the next delivery at once. After `budget_s` the slow lane starts
    no delivery, and the quick one continues while the slow one still waits for answers.
    """
    assert_outside_transaction("sending webhooks")
    started = time.monotonic()
    flight = Flight(quick, slow)
    sent = 0
    with ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="webhook") as pool:
        while True:
            elapsed_s = time.monotonic() - started
            if elapsed_s < budget_s:
                flight.take_on(pool, quick, slow)
            elif flight.flying and elapsed_s < budget_s + GRACE_S:
                flight.take_on(pool, quick)
            if not flight.flying:
                break
            landed, _ = wait(flight.flying, timeout=LOOK_AGAIN_S, return_when=FIRST_COMPLETED)
            for future in landed:
                record(flight.flying.pop(future).item, future.result())
                sent += 1
    if elapsed_s >= budget_s:
        webhooks.wake_senders()
    return sent


@dataclass(slots=True)
class _Sending:
    item: Outgoing
    since: float
    lane: lanes.Lane


class Flight:
    """What one sender has under way, lane by lane."""

    def __init__(self, quick: lanes.Lane, slow: lanes.Lane) -> None:
        self.flying: dict[Future[Answer], _Sending] = {}
        self._quick, self._slow = quick, slow
        self._free_at = 0.0

    def take_on(self, pool: ThreadPoolExecutor, *wanted: lanes.Lane) -> None:
        """Lease and start as many deliveries as the lanes have room for."""
        now = time.monotonic()
        for sending in self.flying.values():
            if now - sending.since >= lanes.SLOW_AFTER_S:
                sending.lane = self._slow
        if now >= self._free_at:
            self._free_at = now + FREE_EVERY_S
            lanes.free_abandoned()
        slow_now = {one.item.endpoint.id for one in self.flying.values() if one.lane is self._slow}
        for lane in wanted:
            under_way = [one.item.delivery for one in self.flying.values() if one.lane is lane]
            free = min(lane.threads - len(under_way), MAX_THREADS - len(self.flying))
            if free <= 0:
                continue
            leased = lanes.lease(lane, limit=free, under_way=under_way, slow_now=slow_now)
            for item in _ready(leased):
                try:
                    future = pool.submit(post, item)
                except RuntimeError as error:
                    # No more threads: what flies is recorded; the rest is due after its lease.
                    log.warning("webhook.no_thread", error=str(error))
                    return
                self.flying[future] = _Sending(item, time.monotonic(), lane)


def post(item: Outgoing) -> Answer:
    """Make one attempt. Touches no database: it runs in a thread of the pool."""
    body = webhook_body(item.event)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        **signing.sign_headers(
            secrets_live=item.secrets,
            message_id=item.event.public_id,
            timestamp_s=int(time.time()),
            body=body,
        ),
    }
    if item.event.request_id:
        headers["X-Request-Id"] = item.event.request_id
    started = time.monotonic()
    try:
        response = guarded_request(
            "POST",
            item.endpoint.url,
            headers=headers,
            content=body,
            timeout_s=TIMEOUT_S,
            body_timeout_s=BODY_TIMEOUT_S,
        )
    except (OutboundRefusedError, OutboundFailedError) as error:
        elapsed_ms = int((time.monotonic() - started) * 1000)
        return Answer(None, _clean(str(error))[:200], "", None, elapsed_ms)
    return _answer(response)


def record(item: Outgoing, answer: Answer) -> None:
    """Record an attempt with its consequences, in one statement."""
    delivery, endpoint = item.delivery, item.endpoint
    now = timezone.now()
    writes = Writes()
    writes.insert(
        WebhookAttempt(
            merchant_id=delivery.merchant_id,
            reseller_id=delivery.reseller_id,
            delivery_id=delivery.id,
            number=delivery.attempts,
            duration_ms=answer.duration_ms,
            status=answer.status,
            error=answer.error,
            response_excerpt=answer.excerpt,
        )
    )
    delivery.last_status, delivery.last_error = answer.status, answer.error
    with tenant_atomic(Scope.worker()):
        if answer.delivered:
            delivery.state = WebhookDelivery.State.DELIVERED
            delivery.delivered_at, delivery.next_attempt_at = now, None
            _note_success(writes, endpoint, slowly=answer.slowly)
        else:
            delivery.next_attempt_at = retries.next_attempt_at(
                attempts=delivery.attempts, now=now, retry_after=answer.retry_after
            )
            if delivery.next_attempt_at is None:
                delivery.state = WebhookDelivery.State.FAILED
            _note_failure(writes, delivery, answer)
        _write_delivery(writes, delivery)
        writes.flush()
    outcome = "delivered" if answer.delivered else "failed"
    metrics.webhook_attempts.labels(outcome).inc()
    with bind_request_id(item.event.request_id):
        log.info(
            "webhook.attempt",
            delivery_id=delivery.public_id,
            event_id=item.event.public_id,
            endpoint_id=endpoint.public_id,
            attempt=delivery.attempts,
            status=answer.status,
            duration_ms=answer.duration_ms,
            state=str(delivery.state),
        )


def due_count() -> int:
    """How many deliveries are due now."""
    with tenant_atomic(Scope.intake()):
        rows = fetch_all(
            "SELECT count(*) FROM notifications_webhookdelivery"
            " WHERE state = 'pending' AND next_attempt_at <= clock_timestamp()"
        )
    return int(rows[0][0])


def _ready(leased: Sequence[WebhookDelivery]) -> list[Outgoing]:
    """Read endpoints, events and secrets of deliveries; cancel what cannot be sent any more."""
    if not leased:
        return []
    with tenant_atomic(Scope.worker()):
        endpoints = {
            row.id: row
            for row in WebhookEndpoint.objects.filter(id__in={d.endpoint_id for d in leased})
        }
        events = {
            row.id: row for row in OutboxEvent.objects.filter(id__in={d.event_id for d in leased})
        }
    ready: list[Outgoing] = []
    for delivery in leased:
        endpoint, event = endpoints.get(delivery.endpoint_id), events.get(delivery.event_id)
        if endpoint is None or endpoint.status != WebhookEndpoint.Status.ENABLED:
            _cancel(delivery, "the endpoint was disabled")
        elif event is None:
            _cancel(delivery, "the event is older than 30 days")
        else:
            try:
                secrets = tuple(webhooks.live_secrets(endpoint))
            except CannotOpen as error:
                log.error("webhook.secret_lost", endpoint_id=endpoint.public_id, exc_info=error)
                _cancel(delivery, "the endpoint's secret cannot be read; rotate it")
                continue
            ready.append(Outgoing(delivery, endpoint, event, secrets))
    return ready


def _cancel(delivery: WebhookDelivery, why: str) -> None:
    delivery.state = WebhookDelivery.State.CANCELED
    delivery.next_attempt_at, delivery.last_error = None, why
    writes = Writes()
    _write_delivery(writes, delivery)
    with tenant_atomic(Scope.worker()):
        writes.flush()


def _write_delivery(writes: Writes, delivery: WebhookDelivery) -> None:
    # A sender whose lease ran out must not overwrite a later sender's result.
    writes.sql(
        "UPDATE notifications_webhookdelivery SET state = %s, next_attempt_at = %s, holder = NULL,"
        " delivered_at = %s, last_status = %s, last_error = %s"
        " WHERE id = %s AND (state = 'pending' OR %s = 'delivered') RETURNING 1",
        [
            str(delivery.state),
            delivery.next_attempt_at,
            delivery.delivered_at,
            delivery.last_status,
            delivery.last_error,
            delivery.id,
            str(delivery.state),
        ],
    )


def _note_success(writes: Writes, endpoint: WebhookEndpoint, *, slowly: bool) -> None:
    # Not on every success: all deliveries of an endpoint would queue for its row.
    writes.sql(
        "UPDATE notifications_webhookendpoint SET failures_in_row = 0, failing_since = NULL,"
        " last_success_at = clock_timestamp(), answers_slowly = %s"
        " WHERE id = %s AND (failures_in_row > 0 OR answers_slowly <> %s"
        " OR last_success_at IS NULL"
        " OR last_success_at < clock_timestamp() - interval '60 s') RETURNING 1",
        [slowly, endpoint.id, slowly],
    )


def _note_failure(writes: Writes, delivery: WebhookDelivery, answer: Answer) -> None:
    """Count the failure, and disable the endpoint at the limit."""
    endpoint = lock_enabled_endpoint(delivery.endpoint_id)
    if endpoint is None:
        return
    now = timezone.now()
    endpoint.failures_in_row += 1
    endpoint.answers_slowly = answer.slowly
    endpoint.failing_since = endpoint.failing_since or now
    lasted_s = (now - endpoint.failing_since).total_seconds()
    reason = ""
    if answer.status == 410:
        reason = WebhookEndpoint.DisabledReason.GONE
    elif (
        endpoint.failures_in_row >= retries.DISABLE_AFTER_FAILURES
        and lasted_s >= retries.DISABLE_AFTER_S
    ):
        reason = WebhookEndpoint.DisabledReason.FAILURES
    written = ["failures_in_row", "failing_since", "answers_slowly"]
    if reason:
        delivery.state, delivery.next_attempt_at = WebhookDelivery.State.FAILED, None
        _disable(writes, endpoint, reason, delivery)
        written += ["status", "disabled_reason", "disabled_at", "tell_disabled_at"]
    writes.update(endpoint, *written)


def _disable(
    writes: Writes, endpoint: WebhookEndpoint, reason: str, delivery: WebhookDelivery
) -> None:
    """Disable the endpoint, and inform the merchant: by mail, event and audit record."""
    webhooks.disable(writes, endpoint, reason, tell=True, failed=delivery)
    writes.record(
        endpoint,
        action="webhook_endpoint.disable",
        event=events.WEBHOOK_ENDPOINT_DISABLED,
        actor=SYSTEM,
        after={"reason": str(reason), "failures_in_row": endpoint.failures_in_row},
        payload=endpoint_out(endpoint),
    )


def _answer(response: OutboundResponse) -> Answer:
    error = ""
    if 300 <= response.status < 400:
        error = "The endpoint redirects; give its final address."
    elif not 200 <= response.status < 300:
        error = f"The endpoint answered {response.status}."
    return Answer(
        status=response.status,
        error=error,
        excerpt=_clean(response.body.decode("utf-8", "replace"))[:EXCERPT_CHARS],
        retry_after=response.headers.get("retry-after"),
        duration_ms=response.duration_ms,
    )


def _clean(text: str) -> str:
    # Masked before it is cut: half a card number would not be recognised.
    return mask_card_numbers(text.replace("\x00", ""))
