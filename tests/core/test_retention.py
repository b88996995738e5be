from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from core.db import Scope, tenant_atomic
from core.ids import first_id
from core.models import OutboxEvent, UsedNonce
from core.retention import purge_expired
from notifications.models import WebhookAttempt
from tests.core.support import emit, event_row
from tests.factories import make_tenants

#: A purge deletes from whole tables.
pytestmark = pytest.mark.usefixtures("own_database")


def old_id(days: int) -> uuid.UUID:
    return uuid.UUID(
        int=first_id(timezone.now() - timedelta(days=days)).int | 0x7000_8000_0000_0000_0000
    )


def test_rows_go_when_their_time_is_over_and_not_before() -> None:
    tenants = make_tenants(users=False)
    place = {"merchant_id": tenants.merchant.id, "reseller_id": tenants.reseller.id}
    with tenant_atomic(Scope.worker()):
        event = {"type": "t", "aggregate": "a", "payload": {}, **place}
        gone, kept, waiting = (
            OutboxEvent.objects.create(id=old_id(31), delivered_at=timezone.now(), **event),
            OutboxEvent.objects.create(id=old_id(29), delivered_at=timezone.now(), **event),
            OutboxEvent.objects.create(id=old_id(32), **event),
        )
        attempt = WebhookAttempt.objects.create(
            id=old_id(31), delivery_id=old_id(31), number=1, **place
        )
        spent = UsedNonce.objects.create(
            key_id="k", nonce=old_id(1).hex, seen_at=timezone.now() - timedelta(seconds=901)
        )
    fresh = emit(tenants, "t.fresh")

    done = purge_expired()

    assert done["core_outboxevent"] == 1
    with tenant_atomic(Scope.worker()):
        left = set(OutboxEvent.objects.filter(**place).values_list("id", flat=True))
        assert left == {kept.id, waiting.id, fresh.id}
        assert gone.id not in left
        assert not WebhookAttempt.objects.filter(id=attempt.id).exists()
        assert not UsedNonce.objects.filter(id=spent.id).exists()
    assert event_row(fresh).type == "t.fresh"
