"""The delivery log and the sender stay quick when the tables are long."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest
from django.db import connection

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.pagination import PageRequest
from notifications import selectors
from notifications.lock_objects import _LEASE_DELIVERIES
from notifications.selectors import DeliveryFilter
from tests.factories import Tenants
from tests.notifications.receiver import Receiver
from tests.notifications.support import endpoint

ROWS = 30_000

_FILL = """
INSERT INTO notifications_webhookdelivery
  (id, created_at, merchant_id, reseller_id, livemode, endpoint_id, event_id, event_type, "trigger",
   state, attempts, last_error)
SELECT gen_random_uuid(), now(), %(m)s, %(r)s, false, %(e)s, gen_random_uuid(), 'payment.created',
       'event', CASE WHEN n <= %(failed)s THEN 'failed' ELSE 'delivered' END, 1, ''
  FROM generate_series(1, %(n)s) AS n
"""
FAILED = 30


@pytest.fixture
def long_log(tenants: Tenants, receiver: Receiver, admin_dsn: str) -> Tenants:
    target, _ = endpoint(tenants, receiver.url)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        place = {"m": tenants.merchant.id, "r": tenants.reseller.id, "e": target.id}
        admin.execute(_FILL, {**place, "n": ROWS, "failed": FAILED})
        admin.execute("ANALYZE notifications_webhookdelivery")
    return tenants


def statements_of(actor: Actor, wanted: DeliveryFilter, page: PageRequest) -> list[Any]:
    """Read a page; return its rows and the statement that brought them."""
    statements: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        found = selectors.deliveries_page(actor=actor, wanted=wanted, page=page)
    # Before the page a filter's own object is looked up by its key.
    return [found.items, *statements[-1]]


def plan_of(sql: str, params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        return json.dumps(cursor.fetchone()[0])


@pytest.mark.parametrize("wanted", ["all", "endpoint", "event"])
def test_a_page_of_the_log_reads_an_index(long_log: Tenants, wanted: str) -> None:
    actor = long_log.key_actor()
    with tenant_atomic(long_log.scope):
        first = selectors.deliveries_page(
            actor=actor, wanted=DeliveryFilter(), page=PageRequest(limit=25)
        )
        row = first.items[0]
        chosen = {
            "all": DeliveryFilter(),
            "endpoint": DeliveryFilter(endpoint_id=f"we_{_text(row.endpoint_id)}"),
            "event": DeliveryFilter(event_id=f"evt_{_text(row.event_id)}"),
        }[wanted]
        page = PageRequest(limit=25, cursor=None if wanted == "event" else first.next_cursor)
        rows, sql, params = statements_of(actor, chosen, page)
        assert len(rows) == (1 if wanted == "event" else 25)
        assert "Seq Scan" not in plan_of(sql, params)


@pytest.mark.parametrize("of_endpoint", [False, True])
def test_the_few_that_failed_are_found_among_the_many_that_arrived(
    long_log: Tenants, of_endpoint: bool
) -> None:
    actor = long_log.key_actor()
    with tenant_atomic(long_log.scope):
        [target] = selectors.endpoints_page(actor=actor, page=PageRequest()).items
        wanted = DeliveryFilter(
            state="failed", endpoint_id=target.public_id if of_endpoint else None
        )
        rows, sql, params = statements_of(actor, wanted, PageRequest(limit=25))
        assert [row.state for row in rows] == ["failed"] * 25
        plan = plan_of(sql, params)
    assert ("delivery_endpoint_state" if of_endpoint else "delivery_merchant_state") in plan


def test_looking_for_due_deliveries_does_not_read_the_log(long_log: Tenants) -> None:
    with tenant_atomic(Scope.worker()):
        asked = {"merchants": [], "endpoints": [], "deliveries": [], "slow_now": [], "slow": False}
        shares = {"per_merchant": 8, "per_endpoint": 6, "limit": 16}
        plan = plan_of(_LEASE_DELIVERIES, {**asked, **shares, "lease_s": 60, "holder": 1})
    assert "delivery_due" in plan
    reads = '"Node Type": "Seq Scan"[^{}]*"Relation Name": "notifications_webhookdelivery"'
    assert not re.search(reads, plan)


def _text(value: Any) -> str:
    from core.ids import encode

    return encode("x", value).removeprefix("x_")
