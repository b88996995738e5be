"""What the tests of the API's edges look at."""

from __future__ import annotations

from typing import Any

from core.db import tenant_atomic
from core.models import OutboxEvent
from payments.acceptance.models import Payment, Refund
from tests.api import Api


def counts(api: Api) -> tuple[int, int, int]:
    """How many payments, refunds and events the merchant has."""
    with tenant_atomic(api.tenants.scope):
        return Payment.objects.count(), Refund.objects.count(), OutboxEvent.objects.count()


def error_of(answer: Any) -> dict[str, Any]:
    body = answer.json()
    assert body["success"] is False
    assert body["meta"]["requestId"] == answer["X-Request-Id"]
    error: dict[str, Any] = body["error"]
    assert error["message"]
    return error
