from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.models import OutboxEvent
from notifications import services
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import delivery, lanes
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


FEW = replace(lanes.QUICK, threads=4, per_merchant=3, per_endpoint=2)
FEW_SLOW = replace(lanes.SLOW, threads=4, per_merchant=2, per_endpoint=1)


def send() -> None:
    delivery.send_due(quick=FEW, slow=FEW_SLOW)


def due_now(admin: psycopg.Connection, target: WebhookEndpoint, count: int) -> None:
    """So many deliveries to an endpoint that have been due for an hour, of events that are gone."""
    admin.execute(
        """INSERT INTO notifications_webhookdelivery
             (id, created_at, merchant_id, reseller_id, livemode, endpoint_id, event_id,
              event_type, "trigger", state, attempts, last_error, next_attempt_at)
           SELECT gen_random_uuid(), now(), %s, %s, false, %s, gen_random_uuid(),
                  'payment.created', 'event', 'pending', 0, '', now() - interval '1 h'
             FROM generate_series(1, %s)""",
        [target.merchant_id, target.reseller_id, target.id, count],
    )


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
