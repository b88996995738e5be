"""The one place where endpoints are locked, and where due rows are leased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from core.context import Actor
from core.errors import NotFound
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.selectors import endpoint_of

# Each pair of merchant and endpoint with something to send costs one index probe, and gives no more
# than its share: a backlog of one, however long, is not read.
_LEASE_DELIVERIES: Final = """
WITH RECURSIVE pair AS (
  (SELECT merchant_id, endpoint_id, next_attempt_at AS first_at FROM notifications_webhookdelivery
    WHERE state = 'pending' ORDER BY merchant_id, endpoint_id, next_attempt_at LIMIT 1)
  UNION ALL
  SELECT following.* FROM pair CROSS JOIN LATERAL (
    SELECT merchant_id, endpoint_id, next_attempt_at FROM notifications_webhookdelivery
     WHERE state = 'pending'
       AND (merchant_id, endpoint_id) > (pair.merchant_id, pair.endpoint_id)
     ORDER BY merchant_id, endpoint_id, next_attempt_at LIMIT 1) AS following),
busy AS (
  SELECT merchant_id, endpoint_id, deliveries
    FROM unnest(%(merchants)s::uuid[], %(endpoints)s::uuid[], %(deliveries)s::int[])
      AS under_way (merchant_id, endpoint_id, deliveries)),
due AS (
  SELECT each.id, each.next_attempt_at, pair.merchant_id,
         coalesce(busy.deliveries, 0)
           + row_number() OVER (PARTITION BY pair.endpoint_id ORDER BY each.next_attempt_at)
           AS place_at_endpoint
    FROM pair
    LEFT JOIN notifications_webhookendpoint AS endpoint ON endpoint.id = pair.endpoint_id
    LEFT JOIN busy ON busy.endpoint_id = pair.endpoint_id
   CROSS JOIN LATERAL (
    SELECT id, next_attempt_at FROM notifications_webhookdelivery
     WHERE state = 'pending' AND merchant_id = pair.merchant_id
       AND endpoint_id = pair.endpoint_id AND next_attempt_at <= clock_timestamp()
     ORDER BY next_attempt_at
     LIMIT greatest(0, %(per_endpoint)s - coalesce(busy.deliveries, 0))) AS each
   WHERE pair.first_at <= clock_timestamp()
     AND (coalesce(endpoint.answers_slowly, false) OR pair.endpoint_id = ANY(%(slow_now)s))
         = %(slow)s),
ranked AS (
  SELECT due.id, due.next_attempt_at,
         coalesce((SELECT sum(deliveries) FROM busy WHERE busy.merchant_id = due.merchant_id), 0)
           + row_number() OVER (PARTITION BY due.merchant_id
                                ORDER BY due.place_at_endpoint, due.next_attempt_at) AS place
    FROM due),
chosen AS (
  SELECT id FROM ranked WHERE place <= %(per_merchant)s
   ORDER BY place, next_attempt_at LIMIT %(limit)s),
locked AS (
  SELECT id FROM notifications_webhookdelivery WHERE id IN (SELECT id FROM chosen)
     AND state = 'pending' AND next_attempt_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
UPDATE notifications_webhookdelivery AS d
   SET attempts = d.attempts + 1, holder = %(holder)s,
       next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
  FROM locked WHERE d.id = locked.id
RETURNING d.*
"""

# A lease moves the due time on, so two workers do not send the same mail, and one that failed waits
# behind the others.
_LEASE_DISABLED: Final = """
UPDATE notifications_webhookendpoint AS e
   SET tell_disabled_at = clock_timestamp() + make_interval(secs => %s)
 WHERE e.id IN (
   SELECT id FROM notifications_webhookendpoint
    WHERE tell_disabled_at <= clock_timestamp()
    ORDER BY tell_disabled_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING e.*
"""


def lock_endpoint(*, actor: Actor, endpoint_id: str) -> WebhookEndpoint:
    """The actor's endpoint by its public id, locked. Raises NotFound."""
    found = endpoint_of(actor, endpoint_id).select_for_update().first()
    if found is None:
        raise NotFound(f"No webhook endpoint has the id {endpoint_id!r}.")
    return found


def lock_enabled_endpoint(endpoint_id: UUID) -> WebhookEndpoint | None:
    """The endpoint, locked; None when it is disabled."""
    enabled = WebhookEndpoint.objects.filter(id=endpoint_id, status=WebhookEndpoint.Status.ENABLED)
    return enabled.select_for_update().first()


def lease_deliveries(wanted: Mapping[str, Any]) -> list[WebhookDelivery]:
    """Lease due deliveries of a lane; `services.lanes.lease` says what is wanted."""
    return list(WebhookDelivery.objects.raw(_LEASE_DELIVERIES, dict(wanted)))


def lease_disabled_endpoints(*, limit: int, again_in_s: int) -> list[WebhookEndpoint]:
    """Lease the endpoints about which a mail is due, for `again_in_s`."""
    return list(WebhookEndpoint.objects.raw(_LEASE_DISABLED, [again_in_s, limit]))
