"""A dispute holds the amount at opening and lets it go, or back, once; news may repeat."""

from __future__ import annotations

import pytest

from core import ids
from core.db import Scope, tenant_atomic
from payments.acceptance.services.disputes import dispute_notice
from payments.intents.models import Intent
from payments.providers.base import DisputeNotice
from tests.api import Api, new_api
from tests.payments.support import books, charges


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


@pytest.mark.parametrize("end", ["", "lost"])
def test_what_a_dispute_holds_or_took_cannot_be_refunded_too(
    api: Api, admin_dsn: str, end: str
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    for status in ("needs_response", *([end] if end else [])):
        dispute_notice(intent, _notice(intent, status, amount=600))
    before = books(admin_dsn, api.tenants.merchant.id)

    refused = api.post("/v1/refunds", {"payment": made["id"], "amount": 401})

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "payment_disputed")
    assert books(admin_dsn, api.tenants.merchant.id) == before
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 0)]
    rest = api.post("/v1/refunds", {"payment": made["id"]})
    assert (rest.status_code, rest.json()["data"]["amount"]) == (201, 400)
    assert api.post("/v1/refunds", {"payment": made["id"]}).status_code == 400


def test_a_dispute_that_was_won_can_be_refunded(api: Api) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    for status in ("needs_response", "won"):
        dispute_notice(intent, _notice(intent, status))

    assert api.post("/v1/refunds", {"payment": made["id"]}).status_code == 201


def test_a_dispute_ends_with_what_it_held(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    dispute_notice(intent, _notice(intent, "needs_response", amount=600))
    dispute_notice(intent, _notice(intent, "lost", amount=650))

    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["disputes"], found["provider_clearing"], found["sum"]) == (0, -400, 0)
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["amount_disputed"] == 0


def test_a_dispute_in_another_currency_is_left_to_a_person(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    before = books(admin_dsn, api.tenants.merchant.id)

    with pytest.raises(ValueError, match="is in USD"):
        dispute_notice(intent, _notice(intent, "needs_response", currency="USD"))

    assert books(admin_dsn, api.tenants.merchant.id) == before
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["amount_disputed"] == 0


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))


def _notice(
    intent: Intent, status: str, *, amount: int = 1_000, currency: str = "EUR"
) -> DisputeNotice:
    return DisputeNotice(
        provider_id="dp_1",
        payment_provider_id=intent.external_id,
        amount_minor=amount,
        currency=currency,
        reason="fraudulent",
        status=status,
    )
