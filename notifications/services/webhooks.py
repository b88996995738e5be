"""Writes of customer webhooks: endpoints and their secrets, fan-out, resend and replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from django.utils import timezone

from core import crypto
from core.context import Actor
from core.db import Scope, after_commit, fetch_all, tenant_atomic
from core.enqueue import enqueue
from core.errors import Conflict, InvalidRequest, NotFound
from core.events import is_public
from core.ids import first_id, new_id
from core.models import OutboxEvent
from core.outbound import check_public_url
from core.pan import refuse_card_numbers
from core.spans import Span
from core.unit import Writes
from notifications import selectors, signing
from notifications.lock_objects import lock_endpoint
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.patterns import check_patterns, wanted_types

MAX_ENDPOINTS: Final = 16
MAX_REPLAY: Final = 10_000
REPLAY_PER_S: Final = 20
ROTATION_OVERLAP: Final = timedelta(hours=24)
TABLE: Final = "notifications_webhookendpoint"


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """Checked fields of an endpoint; None leaves a field as it is."""

    url: str | None = None
    events: list[str] | None = None
    description: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """How many events are on their way again, and whether the span holds more of them."""

    events: int
    has_more: bool


def endpoint_spec(
    *,
    url: object = None,
    events: object = None,
    description: object = None,
    status: object = None,
) -> EndpointSpec:
    """Check what a caller sent; raise InvalidRequest. The URL's host name is not resolved here
    (`core.outbound.check_public_url`), but on every delivery."""
    if url is not None and not isinstance(url, str):
        raise InvalidRequest("url must be a string.", code="parameter_invalid", param="url")
    if url is not None:
        refuse_card_numbers(unquote(url), "url")
        check_public_url(url)
    if description is not None:
        if not isinstance(description, str) or len(description) > 200 or "\x00" in description:
            raise InvalidRequest(
                "description must be a text of at most 200 characters.",
                code="parameter_invalid",
                param="description",
            )
        refuse_card_numbers(description, "description")
    if status is not None and status not in WebhookEndpoint.Status.values:
        raise InvalidRequest(
            "status must be enabled or disabled.", code="parameter_invalid", param="status"
        )
    return EndpointSpec(
        url=url,
        events=None if events is None else check_patterns(events),
        description=description,
        status=None if status is None else str(status),
    )


def endpoint_create(*, actor: Actor, spec: EndpointSpec) -> tuple[WebhookEndpoint, str]:
    """Register an address; return it and its `whsec_` secret, which is shown this once.

    Runs in the caller's scope. Raises InvalidRequest without a URL or events, and Conflict above 16
    endpoints in a mode.
    """
    merchant_id, reseller_id = selectors.owner_of(actor), actor.reseller_id
    if reseller_id is None:
        raise NotFound("Webhooks belong to a merchant: act as one.")
    if spec.url is None:
        raise InvalidRequest(
            "url is missing. Give the address that receives the events.",
            code="parameter_missing",
            param="url",
        )
    if spec.events is None:
        raise InvalidRequest(
            "events is missing: name event types, for example payment.completed, or *.",
            code="parameter_missing",
            param="events",
        )
    secret = signing.new_secret()
    with tenant_atomic(actor.scope):
        known = WebhookEndpoint.objects.filter(
            merchant_id=merchant_id, livemode=actor.livemode, deleted_at__isnull=True
        ).count()
        if known >= MAX_ENDPOINTS:
            raise Conflict(
                f"There are {MAX_ENDPOINTS} endpoints already, the most there can be. Delete one.",
                code="too_many_endpoints",
            )
        endpoint = WebhookEndpoint(
            id=new_id(),
            merchant_id=merchant_id,
            reseller_id=reseller_id,
            livemode=actor.livemode,
            url=spec.url,
            events=spec.events,
            description=spec.description or "",
        )
        endpoint.secret_sealed = _seal(endpoint, secret, "secret_sealed")
        writes = Writes()
        writes.insert(endpoint)
        writes.record(
            endpoint,
            action="webhook_endpoint.create",
            event=None,
            actor=actor,
            after=_facts(endpoint),
        )
        writes.flush()
    return endpoint, secret


def endpoint_update(*, actor: Actor, endpoint_id: str, spec: EndpointSpec) -> WebhookEndpoint:
    """Change address, events, description or status; enabling one resets its failures."""
    with tenant_atomic(actor.scope):
        endpoint = lock_endpoint(actor=actor, endpoint_id=endpoint_id)
        before = _facts(endpoint)
        if spec.url is not None:
            endpoint.url = spec.url
        if spec.events is not None:
            endpoint.events = spec.events
        if spec.description is not None:
            endpoint.description = spec.description
        writes = Writes()
        if spec.status is not None and spec.status != endpoint.status:
            if spec.status == WebhookEndpoint.Status.ENABLED:
                endpoint.status = WebhookEndpoint.Status.ENABLED
                endpoint.disabled_reason = WebhookEndpoint.DisabledReason.NONE
                endpoint.disabled_at = endpoint.tell_disabled_at = None
                endpoint.failures_in_row, endpoint.failing_since = 0, None
            else:
                disable(writes, endpoint, WebhookEndpoint.DisabledReason.BY_USER)
        if _facts(endpoint) != before:
            writes.update(
                endpoint,
                *("url", "events", "description", "status", "disabled_reason", "disabled_at"),
                *("tell_disabled_at", "failures_in_row", "failing_since"),
            )
            writes.record(
                endpoint,
                action="webhook_endpoint.update",
                event=None,
                actor=actor,
                before=before,
                after=_facts(endpoint),
            )
            writes.flush()
    return endpoint


def endpoint_delete(*, actor: Actor, endpoint_id: str) -> None:
    """Delete an endpoint; its deliveries stay readable. Raises NotFound the second time."""
    with tenant_atomic(actor.scope):
        endpoint = lock_endpoint(actor=actor, endpoint_id=endpoint_id)
        before = _facts(endpoint)
        writes = Writes()
        disable(writes, endpoint, WebhookEndpoint.DisabledReason.BY_USER)
        endpoint.deleted_at = timezone.now()
        writes.update(
            endpoint,
            *("status", "disabled_reason", "disabled_at", "tell_disabled_at", "deleted_at"),
        )
        writes.record(
            endpoint, action="webhook_endpoint.delete", event=None, actor=actor, before=before
        )
        writes.flush()


def endpoint_roll_secret(
    *, actor: Actor, endpoint_id: str, overlap: timedelta = ROTATION_OVERLAP
) -> tuple[WebhookEndpoint, str]:
    """Make a new secret. For `overlap` both sign, so that the receiver loses no event."""
    secret = signing.new_secret()
    with tenant_atomic(actor.scope):
        endpoint = lock_endpoint(actor=actor, endpoint_id=endpoint_id)
        now = timezone.now()
        current = _open(endpoint, endpoint.secret_sealed, "secret_sealed")
        endpoint.previous_secret_sealed = _seal(endpoint, current, "previous_secret_sealed")
        endpoint.previous_secret_until = now + overlap
        endpoint.secret_sealed = _seal(endpoint, secret, "secret_sealed")
        writes = Writes()
        writes.update(endpoint, "secret_sealed", "previous_secret_sealed", "previous_secret_until")
        writes.record(
            endpoint,
            action="webhook_endpoint.roll_secret",
            event=None,
            actor=actor,
            after={"previous_secret_until": endpoint.previous_secret_until.isoformat()},
        )
        writes.flush()
    return endpoint, secret


def live_secrets(endpoint: WebhookEndpoint) -> list[str]:
    """The secrets that sign now, the newest first. Needs no scope."""
    secrets = [_open(endpoint, endpoint.secret_sealed, "secret_sealed")]
    if endpoint.previous_secret_live(timezone.now()):
        sealed = endpoint.previous_secret_sealed
        secrets.append(_open(endpoint, sealed, "previous_secret_sealed"))
    return secrets


def disable(
    writes: Writes,
    endpoint: WebhookEndpoint,
    reason: str,
    *,
    tell: bool = False,
    failed: WebhookDelivery | None = None,
) -> None:
    """Mark an endpoint disabled in memory, and cancel its pending deliveries in `writes`.

    Args:
        tell: the mail about it is due, for another worker to send.
        failed: the delivery whose failure disables it. The caller writes it in the same unit, which
            is one statement, and which of two updates of one row wins there is not defined.
    """
    now = timezone.now()
    endpoint.status = WebhookEndpoint.Status.DISABLED
    endpoint.disabled_reason = reason
    endpoint.disabled_at, endpoint.tell_disabled_at = now, now if tell else None
    writes.sql(
        "UPDATE notifications_webhookdelivery SET state = 'canceled', next_attempt_at = NULL,"
        " last_error = 'the endpoint was disabled'"
        " WHERE merchant_id = %s AND endpoint_id = %s AND state = 'pending'"
        " AND id IS DISTINCT FROM %s::uuid RETURNING 1",
        [endpoint.merchant_id, endpoint.id, failed.id if failed else None],
    )


_MATCHING: Final = """
SELECT e.id, e.type, ep.id, ep.merchant_id, ep.reseller_id, ep.livemode
  FROM unnest(%s::uuid[], %s::uuid[], %s::bool[], %s::text[]) AS e(id, merchant, livemode, type)
  JOIN notifications_webhookendpoint AS ep
    ON ep.merchant_id = e.merchant AND ep.livemode = e.livemode
 WHERE ep.status = 'enabled' AND ep.deleted_at IS NULL
   AND ep.events && ARRAY[e.type, split_part(e.type, '.', 1) || '.*', '*']::varchar[]
"""


def fan_out(events: Sequence[OutboxEvent]) -> None:
    """Outbox subscriber: one delivery for each event and endpoint that wants it, made once."""
    public = [e for e in events if e.merchant_id is not None and is_public(e.type)]
    if not public:
        return
    columns: list[list[Any]] = [
        [e.id for e in public],
        [e.merchant_id for e in public],
        [e.livemode for e in public],
        [e.type for e in public],
    ]
    with tenant_atomic(Scope.worker()):
        rows = fetch_all(_MATCHING, columns)
        if not rows:
            return
        now = timezone.now()
        WebhookDelivery.objects.bulk_create(
            [
                WebhookDelivery(
                    event_id=event_id,
                    event_type=event_type,
                    endpoint_id=endpoint_id,
                    merchant_id=merchant_id,
                    reseller_id=reseller_id,
                    livemode=livemode,
                    next_attempt_at=now,
                )
                for event_id, event_type, endpoint_id, merchant_id, reseller_id, livemode in rows
            ],
            ignore_conflicts=True,
        )
        after_commit(wake_senders)


def event_resend(
    *, actor: Actor, event_id: str, endpoint_id: str | None = None
) -> list[WebhookDelivery]:
    """Resend an event, to one endpoint or to every enabled one that wants its type.

    The `webhook-id` stays the event's, so a receiver that deduplicates is safe. An endpoint that is
    named gets it whatever it subscribes to. Raises NotFound, and Conflict when the named endpoint
    is disabled or no enabled one wants the event.
    """
    with tenant_atomic(actor.scope):
        event = selectors.event_get(actor=actor, event_id=event_id)
        if endpoint_id is not None:
            endpoints = [selectors.endpoint_get(actor=actor, endpoint_id=endpoint_id)]
        else:
            found = fetch_all(
                _MATCHING, [[event.id], [event.merchant_id], [event.livemode], [event.type]]
            )
            endpoints = list(WebhookEndpoint.objects.filter(id__in=[row[2] for row in found]))
        if not endpoints:
            raise Conflict(
                "No enabled endpoint takes this event. Enable one, or subscribe it to "
                f"{event.type}.",
                code="no_endpoint",
            )
        return _resend(actor, event, endpoints)


def delivery_resend(*, actor: Actor, delivery_id: UUID) -> WebhookDelivery:
    """Resend a delivery's event to its endpoint; for staff, who have no merchant's seat.

    Runs in the actor's scope. Raises NotFound when delivery or event no longer exist, and
    Conflict when the endpoint is disabled.
    """
    with tenant_atomic(actor.scope):
        delivery = WebhookDelivery.objects.filter(id=delivery_id).first()
        event = OutboxEvent.objects.filter(id=delivery.event_id).first() if delivery else None
        if delivery is None or event is None:
            raise NotFound("The event is older than 30 days and was deleted.")
        endpoint = WebhookEndpoint.objects.get(id=delivery.endpoint_id)
        [made] = _resend(actor, event, [endpoint])
    return made


def _resend(
    actor: Actor, event: OutboxEvent, endpoints: Sequence[WebhookEndpoint]
) -> list[WebhookDelivery]:
    for endpoint in endpoints:
        if endpoint.status != WebhookEndpoint.Status.ENABLED or endpoint.deleted_at is not None:
            raise Conflict("The endpoint is disabled. Enable it first.", code="endpoint_disabled")
    deliveries = [
        _delivery(event, endpoint, WebhookDelivery.Trigger.RESEND) for endpoint in endpoints
    ]
    writes = Writes()
    writes.insert(*deliveries)
    writes.record(
        event,
        action="event.resend",
        event=None,
        actor=actor,
        after={"endpoints": [endpoint.public_id for endpoint in endpoints]},
    )
    writes.flush()
    after_commit(wake_senders)
    return deliveries


_REPLAYABLE: Final = """
SELECT o.id, o.type FROM core_outboxevent AS o
 WHERE o.merchant_id = %s AND o.livemode = %s AND o.created_at >= %s AND o.created_at < %s
   AND o.id >= %s AND o.id < %s AND o.type = ANY(%s)
   AND NOT EXISTS (
     SELECT 1 FROM notifications_webhookdelivery AS d
      WHERE d.event_id = o.id AND d.endpoint_id = %s AND d.merchant_id = o.merchant_id
        AND (d.state = 'pending' OR (%s AND d.state = 'delivered')))
 ORDER BY o.id LIMIT %s
"""


def deliveries_replay(
    *,
    actor: Actor,
    endpoint_id: str,
    span: Span,
    only_missing: bool = True,
) -> Replay:
    """Send again what an endpoint missed in a span of time.

    `only_missing` leaves out what was delivered; what is on its way is left out in any case. At
    most 10,000 a call, oldest first and paced at 20 a second, so that an endpoint that has just
    recovered is not overloaded. `span` has a beginning; without an end it lasts until now. Raises
    NotFound, and Conflict for a disabled endpoint.
    """
    assert span.start is not None
    since, until = span.start, span.end or timezone.now()
    with tenant_atomic(actor.scope):
        endpoint = lock_endpoint(actor=actor, endpoint_id=endpoint_id)
        if endpoint.status != WebhookEndpoint.Status.ENABLED:
            raise Conflict("The endpoint is disabled. Enable it first.", code="endpoint_disabled")
        now = timezone.now()
        types = wanted_types(endpoint.events)
        found = fetch_all(
            _REPLAYABLE,
            [
                endpoint.merchant_id,
                endpoint.livemode,
                since,
                until,
                first_id(since, slack_s=60),
                first_id(until, slack_s=-60),
                types,
                endpoint.id,
                only_missing,
                MAX_REPLAY + 1,
            ],
        )
        deliveries = [
            WebhookDelivery(
                event_id=event_id,
                event_type=event_type,
                endpoint_id=endpoint.id,
                merchant_id=endpoint.merchant_id,
                reseller_id=endpoint.reseller_id,
                livemode=endpoint.livemode,
                trigger=WebhookDelivery.Trigger.REPLAY,
                next_attempt_at=now + timedelta(seconds=index / REPLAY_PER_S),
            )
            for index, (event_id, event_type) in enumerate(found[:MAX_REPLAY])
        ]
        WebhookDelivery.objects.bulk_create(deliveries, batch_size=1_000)
        writes = Writes()
        writes.record(
            endpoint,
            action="webhook_endpoint.replay",
            event=None,
            actor=actor,
            after={"events": len(deliveries), "from": since.isoformat()},
        )
        writes.flush()
        after_commit(wake_senders)
    return Replay(events=len(deliveries), has_more=len(found) > MAX_REPLAY)


def wake_senders() -> None:
    """Tell a worker that deliveries are due. A lost call costs seconds: the sweep finds them."""
    enqueue("notifications.send_due_webhooks", expires_s=60)


def _delivery(event: OutboxEvent, endpoint: WebhookEndpoint, trigger: str) -> WebhookDelivery:
    return WebhookDelivery(
        event_id=event.id,
        event_type=event.type,
        endpoint_id=endpoint.id,
        merchant_id=endpoint.merchant_id,
        reseller_id=endpoint.reseller_id,
        livemode=endpoint.livemode,
        trigger=trigger,
        next_attempt_at=timezone.now(),
    )


def _seal(endpoint: WebhookEndpoint, secret: str, column: str) -> str:
    return crypto.seal(
        secret, tenant_id=endpoint.merchant_id, table=TABLE, column=column, pk=endpoint.id
    )


def _open(endpoint: WebhookEndpoint, sealed: str, column: str) -> str:
    return crypto.open_sealed(
        sealed, tenant_id=endpoint.merchant_id, table=TABLE, column=column, pk=endpoint.id
    )


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "status": endpoint.status,
    }
