"""Events, webhook endpoints and their deliveries on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypedDict

from core.events import public_events
from core.ids import encode
from core.models import OutboxEvent
from core.shapes import LaterTime, PageOf, Time, an_id, example_id, one_of, open_list, shown
from core.times import iso
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.patterns import known_patterns

# The rooms above declare their events later, so both lists are made with the document.
EventType = Annotated[
    str,
    open_list(public_events, "For example `payment.completed`.", example="payment.completed"),
]

EventPattern = Annotated[str, open_list(known_patterns, example="payment.*")]


class EventOut(TypedDict):
    """Something that happened; `data` is the object as it was at that moment."""

    id: Annotated[str, an_id("evt", "`evt_…`; also the `webhook-id` of its webhooks.")]
    object: Literal["event"]
    type: EventType
    created_at: LaterTime
    livemode: bool
    request_id: Annotated[
        str | None, shown("The request that caused it.", example=example_id("req"))
    ]
    data: Annotated[
        dict[str, Any], shown("The object, as its own endpoint returned it then.", example={})
    ]


def event_out(event: OutboxEvent) -> EventOut:
    """An event as integrators see it, the same in `GET /v1/events` and in a webhook."""
    return {
        "id": event.public_id,
        "object": "event",
        "type": event.type,
        "created_at": iso(event.created_at),
        "livemode": event.livemode,
        "request_id": event.request_id or None,
        "data": event.payload,
    }


class EndpointOut(TypedDict):
    """A webhook endpoint."""

    id: Annotated[str, an_id("we", "`we_…`")]
    object: Literal["webhook_endpoint"]
    url: Annotated[str, shown(example="https://shop.example/webhooks")]
    events: Annotated[list[EventPattern], shown(example=["payment.*", "refund.*"])]
    description: Annotated[str, shown(example="")]
    status: Annotated[str, one_of(WebhookEndpoint.Status.values, example="enabled")]
    disabled_reason: Annotated[
        str | None,
        shown("`by_user`, `gone` (it answered 410) or `failures` (ten in a row over two days)."),
    ]
    livemode: bool
    created_at: Time
    last_success_at: Annotated[Time | None, shown(example=None)]
    failures_in_row: int
    previous_secret_until: Annotated[
        Time | None,
        shown("Until then the secret before the last rotation signs too.", example=None),
    ]


class EndpointWithSecretOut(EndpointOut):
    """As above, with the secret: only here, and in the repetition of the very same request."""

    secret: Annotated[
        str,
        shown("`whsec_…` (Standard Webhooks).", example="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
    ]


class EndpointDeletedOut(EndpointOut):
    """The endpoint as it was, disabled now."""

    deleted: Literal[True]


def endpoint_out(endpoint: WebhookEndpoint) -> EndpointOut:
    """An endpoint, without its secret."""
    return {
        "id": endpoint.public_id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "status": str(endpoint.status),
        "disabled_reason": str(endpoint.disabled_reason) or None,
        "livemode": endpoint.livemode,
        "created_at": iso(endpoint.created_at),
        "last_success_at": iso(endpoint.last_success_at),
        "failures_in_row": endpoint.failures_in_row,
        "previous_secret_until": iso(endpoint.previous_secret_until),
    }


def endpoint_with_secret_out(endpoint: WebhookEndpoint, secret: str) -> EndpointWithSecretOut:
    """A new endpoint, or one whose secret is new."""
    return {**endpoint_out(endpoint), "secret": secret}


def endpoint_deleted_out(endpoint: WebhookEndpoint) -> EndpointDeletedOut:
    """A deleted endpoint."""
    return {**endpoint_out(endpoint), "status": "disabled", "deleted": True}


class DeliveryOut(TypedDict):
    """One event on its way to one endpoint."""

    id: Annotated[str, an_id("whd", "`whd_…`")]
    object: Literal["webhook_delivery"]
    event: Annotated[str, an_id("evt", "`evt_…`")]
    event_type: EventType
    endpoint: Annotated[str, an_id("we", "`we_…`")]
    trigger: Annotated[
        str, one_of(WebhookDelivery.Trigger.values, "Why it was made.", example="event")
    ]
    state: Annotated[
        str,
        one_of(
            WebhookDelivery.State.values,
            "`failed`: all ten attempts failed. `canceled`: the endpoint was disabled.",
            example="delivered",
        ),
    ]
    attempts: Annotated[int, shown("How many were made, ten at most.", example=1)]
    created_at: LaterTime
    next_attempt_at: Annotated[Time | None, shown("While it is pending.", example=None)]
    delivered_at: LaterTime | None
    last_status: Annotated[
        int | None, shown("HTTP status of the last attempt; null: no answer.", example=200)
    ]
    last_error: Annotated[str, shown("What was wrong at the last attempt, in words.", example="")]


class DeliveryAttemptOut(TypedDict):
    """One HTTP exchange."""

    number: Annotated[int, shown(example=1)]
    created_at: LaterTime
    duration_ms: Annotated[int, shown(example=38)]
    status: Annotated[int | None, shown("HTTP status; null: no answer.", example=200)]
    error: Annotated[str, shown(example="")]
    response_excerpt: Annotated[str, shown("First 1,000 characters.", example="ok")]


class DeliveryDetailOut(DeliveryOut):
    """A delivery with its attempts."""

    attempt_log: Annotated[list[DeliveryAttemptOut], shown("First to last.")]


def delivery_out(delivery: WebhookDelivery) -> DeliveryOut:
    """A delivery, without its attempts."""
    return {
        "id": delivery.public_id,
        "object": "webhook_delivery",
        "event": encode(OutboxEvent.PREFIX, delivery.event_id),
        "event_type": delivery.event_type,
        "endpoint": encode(WebhookEndpoint.PREFIX, delivery.endpoint_id),
        "trigger": str(delivery.trigger),
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "created_at": iso(delivery.created_at),
        "next_attempt_at": iso(delivery.next_attempt_at),
        "delivered_at": iso(delivery.delivered_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    }


def delivery_attempt_out(attempt: WebhookAttempt) -> DeliveryAttemptOut:
    """One HTTP exchange of a delivery."""
    return {
        "number": attempt.number,
        "created_at": iso(attempt.created_at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "response_excerpt": attempt.response_excerpt,
    }


def delivery_detail_out(
    delivery: WebhookDelivery, attempts: Iterable[WebhookAttempt]
) -> DeliveryDetailOut:
    """A delivery with its attempts, first to last."""
    return {
        **delivery_out(delivery),
        "attempt_log": [delivery_attempt_out(attempt) for attempt in attempts],
    }


class ResentOut(TypedDict):
    deliveries: list[DeliveryOut]


def resent_out(deliveries: Iterable[WebhookDelivery]) -> ResentOut:
    """The deliveries that a resend made."""
    return {"deliveries": [delivery_out(delivery) for delivery in deliveries]}


class ReplayedOut(TypedDict):
    events: Annotated[int, shown("How many are on their way, 10,000 at most.", example=214)]
    has_more: Annotated[bool, shown("Whether the span holds more of them.")]


class EventList(PageOf):
    items: list[EventOut]


class EndpointList(PageOf):
    items: list[EndpointOut]


class DeliveryList(PageOf):
    items: list[DeliveryOut]
