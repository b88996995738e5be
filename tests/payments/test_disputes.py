"""A dispute holds the amount at opening and lets it go, or back, once; news may repeat."""

from __future__ import annotations

import pytest

from core import ids
from core.db import Scope, tenant_atomic
from payments.acceptance.services.disputes import dispute_notice
from payments.intents.models import Intent
from payments.providers.base import DisputeNotice
from tests.api import Api, new_api
from tests.payments.support import books


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


@pytest.mark.parametrize(
    ("end", "pending", "available", "clearing"),
    [("won", -1_000, 1_000, -1_000), ("lost", -1_000, 0, 0)],
)
def test_a_dispute_is_booked_once(
    api: Api, admin_dsn: str, end: str, pending: int, available: int, clearing: int
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    before = books(admin_dsn, api.tenants.merchant.id)["merchant_pending"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        intent = Intent.objects.get(document_id=ids.decode("pay", made["id"]))

    for status in ("warning_needs_response", "needs_response", "under_review", "needs_response"):
        dispute_notice(intent, _notice(intent, status))
    held = books(admin_dsn, api.tenants.merchant.id)
    assert (held["merchant_pending"] - before, held["disputes"]) == (-1_000, 1_000)
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["amount_disputed"] == 1_000

    for status in (end, end, "needs_response"):
        dispute_notice(intent, _notice(intent, status))
    after = books(admin_dsn, api.tenants.merchant.id)
    assert after["merchant_pending"] - before == pending
    assert after.get("merchant_available", 0) == available
    assert (after["provider_clearing"], after["disputes"], after["sum"]) == (clearing, 0, 0)
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["amount_disputed"] == 0


def _notice(intent: Intent, status: str) -> DisputeNotice:
    return DisputeNotice(
        provider_id="dp_1",
        payment_provider_id=intent.external_id,
        amount_minor=1_000,
        currency="EUR",
        reason="fraudulent",
        status=status,
    )
