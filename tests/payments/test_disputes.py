"""A dispute holds the amount at opening and lets it go, or back, once; news may repeat."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from core import ids
from core.db import Scope, tenant_atomic
from payments.acceptance.services import release
from payments.acceptance.services.disputes import dispute_notice
from payments.acceptance.services.refunds import refund_total_of_provider
from payments.intents.models import Intent
from payments.providers.base import DisputeMovement, DisputeNotice, RefundTotal
from tests.api import Api, new_api
from tests.payments.support import books, charges

MISSED = "refunded_at_provider"


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


def test_a_lost_dispute_that_is_reinstated_and_won_comes_back(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=5_000).json()["data"]
    intent, merchant_id = _intent(api, made["id"]), api.tenants.merchant.id
    _release(api, made["id"])
    assert books(admin_dsn, merchant_id)["merchant_available"] == 4_855

    dispute_notice(intent, _notice(intent, "needs_response", amount=5_000))
    dispute_notice(intent, _notice(intent, "lost", amount=5_000, at=2))
    assert _shown(api, made["id"]) == (0, 5_000, -145)
    assert books(admin_dsn, merchant_id)["merchant_available"] == -145

    for at in (3, 3, 4):
        dispute_notice(intent, _notice(intent, "won", amount=5_000, at=at))
    dispute_notice(intent, _notice(intent, "lost", amount=5_000, at=2))  # late

    assert _shown(api, made["id"]) == (0, 0, 4_855)
    after = books(admin_dsn, merchant_id)
    assert (after["merchant_available"], after["provider_clearing"]) == (4_855, -5_000)
    assert (after["disputes"], after["sum"]) == (0, 0)


def test_what_was_decided_may_change_more_than_once(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=5_000).json()["data"]
    intent, merchant_id = _intent(api, made["id"]), api.tenants.merchant.id
    _release(api, made["id"])
    for at, status in enumerate(("needs_response", "won", "lost", "won", "lost")):
        dispute_notice(intent, _notice(intent, status, amount=5_000, at=at))

    assert _shown(api, made["id"]) == (0, 5_000, -145)
    after = books(admin_dsn, merchant_id)
    assert (after["merchant_available"], after["provider_clearing"]) == (-145, 0)
    assert (after["disputes"], after["sum"]) == (0, 0)


def test_a_dispute_that_opens_again_is_left_to_a_person(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    for at, status in ((0, "needs_response"), (2, "lost"), (1, "under_review")):
        dispute_notice(intent, _notice(intent, status, at=at))
    assert _intent(api, made["id"]).exceptions == []
    before = books(admin_dsn, api.tenants.merchant.id)

    dispute_notice(intent, _notice(intent, "under_review", at=3))

    assert [line["code"] for line in _intent(api, made["id"]).exceptions] == ["dispute_reopened"]
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_the_fee_of_a_dispute_is_the_merchants_and_comes_back_with_it(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay(amount=5_000).json()["data"]
    intent, merchant_id = _intent(api, made["id"]), api.tenants.merchant.id
    _release(api, made["id"])
    taken = DisputeMovement(id="txn_1", amount_minor=-5_000, fee_minor=1_500, currency="EUR")
    given = DisputeMovement(id="txn_2", amount_minor=5_000, fee_minor=-1_500, currency="EUR")

    for _ in range(2):
        dispute_notice(intent, _notice(intent, "needs_response", movements=(taken,)))
    assert _shown(api, made["id"]) == (5_000, 0, -1_645)
    held = books(admin_dsn, merchant_id)
    assert (held["merchant_available"], held["dispute_fee"]) == (-1_645, 1_500)

    for _ in range(2):
        dispute_notice(intent, _notice(intent, "won", at=1, movements=(taken, given)))
    assert _shown(api, made["id"]) == (0, 0, 4_855)
    after = books(admin_dsn, merchant_id)
    assert (after["merchant_available"], after["dispute_fee"], after["sum"]) == (4_855, 0, 0)


def test_what_the_provider_took_is_held_and_not_what_the_dispute_is_over(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    taken = DisputeMovement(id="txn_1", amount_minor=-930, fee_minor=0, currency="EUR")

    dispute_notice(intent, _notice(intent, "needs_response", currency="USD", movements=(taken,)))

    assert books(admin_dsn, api.tenants.merchant.id)["disputes"] == 930
    assert _intent(api, made["id"]).exceptions == []


def test_a_dispute_in_another_currency_is_left_to_a_person(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    before = books(admin_dsn, api.tenants.merchant.id)

    dispute_notice(intent, _notice(intent, "needs_response", currency="USD"))

    found = _intent(api, made["id"]).exceptions
    assert [line["code"] for line in found] == ["disputed_in_another_currency"]
    assert books(admin_dsn, api.tenants.merchant.id) == before
    assert _shown(api, made["id"]) == (0, 0, made["net"])
    _release(api, made["id"])
    assert books(admin_dsn, api.tenants.merchant.id) == before


@pytest.mark.parametrize(("minutes", "done", "codes"), [(9, False, []), (11, True, [MISSED])])
def test_a_refund_whose_own_news_does_not_come_is_left_to_a_person(
    api: Api, minutes: int, done: bool, codes: list[str]
) -> None:
    made = api.pay(amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    then = timezone.now() - dt.timedelta(minutes=minutes)

    assert (
        refund_total_of_provider(intent, RefundTotal(amount_minor=1, currency="EUR"), then) == done
    )

    assert [line["code"] for line in _intent(api, made["id"]).exceptions] == codes


def test_a_refund_that_was_booked_is_not_missed(api: Api) -> None:
    made = api.pay(amount=1_000).json()["data"]
    api.post("/v1/refunds", {"payment": made["id"], "amount": 300})
    intent = _intent(api, made["id"])
    then = timezone.now() - dt.timedelta(days=1)

    assert refund_total_of_provider(intent, RefundTotal(amount_minor=300, currency="EUR"), then)

    assert _intent(api, made["id"]).exceptions == []


def _release(api: Api, payment_id: str) -> None:
    release._release(api.tenants.merchant.id, [ids.decode("pay", payment_id)])


def _shown(api: Api, payment_id: str) -> tuple[int, int, int]:
    """Disputed, lost and net as the API shows them."""
    data = api.get(f"/v1/payments/{payment_id}").json()["data"]
    return data["amount_disputed"], data["amount_lost"], data["net"]


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))


def _notice(
    intent: Intent,
    status: str,
    *,
    amount: int = 1_000,
    currency: str = "EUR",
    at: int = 0,
    movements: tuple[DisputeMovement, ...] = (),
) -> DisputeNotice:
    return DisputeNotice(
        provider_id="dp_1",
        payment_provider_id=intent.external_id,
        amount_minor=amount,
        currency=currency,
        reason="fraudulent",
        status=status,
        occurred_at=dt.datetime(2026, 11, 1, tzinfo=dt.UTC) + dt.timedelta(hours=at),
        movements=movements,
    )
