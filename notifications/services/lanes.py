"""Which delivery is sent next: two lanes, and a share of each for every merchant and endpoint.

A receiver that answers slowly occupies a thread, which must not be one that others wait for.
Endpoints whose last answer took a second or more have a lane of their own; a delivery that takes
longer than that moves there while it is under way. In each lane a merchant has a share and an
endpoint a smaller one, and those with the least under way come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.db import Scope, fetch_all, tenant_atomic
from core.liveness import holder
from notifications.lock_objects import lease_deliveries
from notifications.models import WebhookDelivery

#: An answer that takes at least this long is slow.
SLOW_AFTER_S: Final = 1.0
#: For a sender that hangs: longer than an attempt may take. The deliveries of a sender that died
#: are due again as soon as another sender looks (`free_abandoned`).
LEASE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Lane:
    """How many deliveries may be under way in a lane: in all, of one merchant, to one endpoint."""

    slow: bool
    threads: int
    per_merchant: int
    per_endpoint: int


QUICK: Final = Lane(slow=False, threads=16, per_merchant=8, per_endpoint=6)
SLOW: Final = Lane(slow=True, threads=64, per_merchant=4, per_endpoint=2)

_FREE: Final = """
UPDATE notifications_webhookdelivery SET next_attempt_at = clock_timestamp(), holder = NULL
 WHERE holder IS NOT NULL AND state = 'pending' AND core_holder_died(holder)
RETURNING id
"""


def lease(
    lane: Lane,
    *,
    limit: int,
    under_way: Iterable[WebhookDelivery] = (),
    slow_now: Iterable[UUID] = (),
) -> list[WebhookDelivery]:
    """Lease up to `limit` due deliveries of a lane to this process.

    Args:
        under_way: what this sender is sending in this lane; it counts against the shares.
        slow_now: endpoints that keep this sender waiting just now.
    """
    busy = Counter((row.merchant_id, row.endpoint_id) for row in under_way)
    asked = {
        "merchants": [merchant_id for merchant_id, _ in busy],
        "endpoints": [endpoint_id for _, endpoint_id in busy],
        "deliveries": list(busy.values()),
        "slow_now": list(slow_now),
        "slow": lane.slow,
        "per_merchant": lane.per_merchant,
        "per_endpoint": lane.per_endpoint,
        "limit": limit,
        "lease_s": LEASE_S,
        "holder": holder(),
    }
    with tenant_atomic(Scope.worker()):
        return lease_deliveries(asked)


def free_abandoned() -> int:
    """Make the deliveries of senders that died due again; return how many."""
    with tenant_atomic(Scope.worker()):
        return len(fetch_all(_FREE))
