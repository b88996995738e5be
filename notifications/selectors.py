"""Reads of events, endpoints and deliveries. Each needs an open scope; predicates are explicit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from core.context import Actor
from core.errors import InvalidRequest, NotFound
from core.events import public_events
from core.ids import decode, first_id
from core.models import AuditRecord, OutboxEvent
from core.pagination import Page, PageRequest, paginate
from core.spans import ALWAYS, Span
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What `GET /v1/events` filters by; None means any."""

    event_type: str | None = None
    object_id: str | None = None
    created: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What lists of deliveries filter by; None means any."""

    endpoint_id: str | None = None
    event_id: str | None = None
    state: str | None = None


def owner_of(actor: Actor) -> UUID:
    """The merchant whose events an actor reads. Raises NotFound for an actor without one."""
    if actor.merchant_id is None:
        raise NotFound("Events and webhooks belong to a merchant: act as one.")
    return actor.merchant_id


def events_page(*, actor: Actor, wanted: EventFilter, page: PageRequest) -> Page[OutboxEvent]:
    """The merchant's public events of the last 30 days, newest first."""
    rows = OutboxEvent.objects.filter(merchant_id=owner_of(actor), livemode=actor.livemode)
    if wanted.event_type:
        family, star, rest = wanted.event_type.partition("*")
        types = [
            name for name in public_events() if name == family or (star and name.startswith(family))
        ]
        if not types or rest:
            raise InvalidRequest(
                "There is no such event type. The catalogue lists them.",
                code="event_unknown",
                param="type",
            )
        rows = rows.filter(type__in=types)
    else:
        rows = rows.filter(type__in=list(public_events()))
    if wanted.object_id:
        _require_object(actor, wanted.object_id)
        rows = rows.filter(object_id=wanted.object_id)
    start, end = wanted.created.start, wanted.created.end
    rows = rows.filter(wanted.created.on("created_at"))
    if start is not None:
        rows = rows.filter(id__gte=first_id(start, slack_s=60))
    if end is not None:
        rows = rows.filter(id__lt=first_id(end, slack_s=-60))
    return paginate(rows, page)


def _require_object(actor: Actor, object_id: str) -> None:
    """Raise NotFound for an id that is none of the merchant's in the actor's mode.

    An object's events are kept for 30 days; the audit record of what made it outlives them.
    """
    merchant_id = owner_of(actor)
    events = OutboxEvent.objects.filter(
        merchant_id=merchant_id, livemode=actor.livemode, object_id=object_id
    )
    records = AuditRecord.objects.filter(
        merchant_id=merchant_id, livemode=actor.livemode, target=object_id
    )
    if not (events.exists() or records.exists()):
        raise NotFound("There is no such object.", param="object")


def event_get(*, actor: Actor, event_id: str) -> OutboxEvent:
    """One public event of the merchant by its public id. Raises NotFound."""
    found = OutboxEvent.objects.filter(
        id=decode(OutboxEvent.PREFIX, event_id),
        merchant_id=owner_of(actor),
        livemode=actor.livemode,
        type__in=list(public_events()),
    ).first()
    if found is None:
        raise NotFound(f"No event has the id {event_id!r}.")
    return found


def endpoints_page(*, actor: Actor, page: PageRequest) -> Page[WebhookEndpoint]:
    """The merchant's endpoints of this mode, newest first, without deleted ones."""
    return paginate(
        WebhookEndpoint.objects.filter(
            merchant_id=owner_of(actor), livemode=actor.livemode, deleted_at__isnull=True
        ),
        page,
    )


def endpoint_get(*, actor: Actor, endpoint_id: str) -> WebhookEndpoint:
    """One endpoint by its public id. Raises NotFound."""
    found = endpoint_of(actor, endpoint_id).first()
    if found is None:
        raise NotFound(f"No webhook endpoint has the id {endpoint_id!r}.")
    return found


def endpoint_of(actor: Actor, endpoint_id: str) -> QuerySet[WebhookEndpoint]:
    """The actor's endpoint of this public id, unless it was deleted: one row or none."""
    return WebhookEndpoint.objects.filter(
        id=decode(WebhookEndpoint.PREFIX, endpoint_id),
        merchant_id=owner_of(actor),
        livemode=actor.livemode,
        deleted_at__isnull=True,
    )


def _require_own(rows: QuerySet[Any], actor: Actor, param: str) -> None:
    """Raise NotFound unless a row is the actor's; endpoints that were deleted count."""
    if not rows.filter(merchant_id=owner_of(actor), livemode=actor.livemode).exists():
        raise NotFound(f"There is no such {param}.", param=param)


def deliveries_page(
    *, actor: Actor, wanted: DeliveryFilter, page: PageRequest
) -> Page[WebhookDelivery]:
    """Deliveries, newest first. A cursor page over an index; nothing is counted."""
    rows = WebhookDelivery.objects.filter(merchant_id=owner_of(actor), livemode=actor.livemode)
    if wanted.endpoint_id:
        endpoint_id = decode(WebhookEndpoint.PREFIX, wanted.endpoint_id, param="endpoint")
        rows = rows.filter(endpoint_id=endpoint_id)
        _require_own(WebhookEndpoint.objects.filter(id=endpoint_id), actor, "endpoint")
    if wanted.event_id:
        event_id = decode(OutboxEvent.PREFIX, wanted.event_id, param="event")
        rows = rows.filter(event_id=event_id)
        if not rows.exists():  # the log of deliveries outlives the events
            _require_own(OutboxEvent.objects.filter(id=event_id), actor, "event")
    if wanted.state:
        if wanted.state not in WebhookDelivery.State.values:
            raise InvalidRequest(
                f"state must be one of {', '.join(WebhookDelivery.State.values)}.",
                code="parameter_invalid",
                param="state",
            )
        rows = rows.filter(state=wanted.state)
    return paginate(rows, page)


def delivery_get(*, actor: Actor, delivery_id: str) -> WebhookDelivery:
    """One delivery by its public id. Raises NotFound."""
    found = WebhookDelivery.objects.filter(
        id=decode(WebhookDelivery.PREFIX, delivery_id),
        merchant_id=owner_of(actor),
        livemode=actor.livemode,
    ).first()
    if found is None:
        raise NotFound(f"No delivery has the id {delivery_id!r}.")
    return found


def attempts_of(*, delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """The attempts of a delivery, first to last (ten at most, and those of a crash)."""
    return list(
        WebhookAttempt.objects.filter(
            merchant_id=delivery.merchant_id, delivery_id=delivery.id
        ).order_by("number", "id")[:50]
    )
