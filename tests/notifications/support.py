from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.models import OutboxEvent
from notifications import delivery, services
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tests.core.support import drain, emit
from tests.factories import Tenants


def endpoint(
    tenants: Tenants, url: str, events: list[str] | None = None, *, livemode: bool = False
) -> tuple[WebhookEndpoint, str]:
    spec = services.endpoint_spec(url=url, events=events or ["*"])
    return services.endpoint_create(actor=tenants.key_actor(livemode=livemode), spec=spec)


def happen(tenants: Tenants, event_type: str = "payment.completed", **payload: Any) -> OutboxEvent:
    """An event commits, the relay fans it out; nothing is sent yet."""
    event = emit(tenants, event_type, **payload)
    drain()
    return event


def send() -> None:
    delivery.send_due(threads=4)


def deliveries(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    with tenant_atomic(Scope.worker()):
        return list(WebhookDelivery.objects.filter(endpoint_id=endpoint.id).order_by("id"))


def attempts(row: WebhookDelivery) -> list[WebhookAttempt]:
    with tenant_atomic(Scope.worker()):
        return list(WebhookAttempt.objects.filter(delivery_id=row.id).order_by("number"))


def fresh(row: WebhookEndpoint) -> WebhookEndpoint:
    with tenant_atomic(Scope.worker()):
        return WebhookEndpoint.objects.get(id=row.id)


def time_passes(endpoint: WebhookEndpoint) -> None:
    """Whatever waits for this endpoint is due now."""
    with tenant_atomic(Scope.worker()):
        WebhookDelivery.objects.filter(endpoint_id=endpoint.id, state="pending").update(
            next_attempt_at=timezone.now() - timedelta(seconds=1)
        )
