"""Endpoints and deliveries as JSON: what the API answers, and what events about them say."""

from __future__ import annotations

from typing import Any

from core.ids import encode
from core.models import OutboxEvent
from core.times import iso
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint


def endpoint_json(endpoint: WebhookEndpoint) -> dict[str, Any]:
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


def delivery_json(delivery: WebhookDelivery) -> dict[str, Any]:
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


def attempt_json(attempt: WebhookAttempt) -> dict[str, Any]:
    """One HTTP exchange of a delivery."""
    return {
        "number": attempt.number,
        "created_at": iso(attempt.created_at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "response_excerpt": attempt.response_excerpt,
    }
