"""Events may come twice, late and in any order: the end is the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from payments.intents.channels.gateway import from_provider
from payments.intents.models import Intent
from payments.intents.provider_events import handle_provider_event
from payments.intents.services import intent_apply
from payments.intents.services.recovery import intent_check
from payments.providers.base import (
    Decline,
    EventKind,
    ProviderAnswer,
    ProviderEvent,
    RefundAnswer,
    Status,
)
from payments.providers.selectors import Account, route
from tests.api import Api, new_api
from tests.payments.support import books

AMOUNT = 1_000


@pytest.fixture(scope="module")
def api(database: str) -> Api:
    return new_api()


def _event(number: int, intent: Intent, answer: ProviderAnswer) -> ProviderEvent:
    return ProviderEvent(
        event_id=f"{intent.id}-{number}",
        kind=EventKind.PAYMENT,
        type="payment.test",
        occurred_at=dt.datetime.now(dt.UTC),
        provider_id=intent.external_id,
        reference=intent.public_id,
        payment=answer,
    )


ANSWERS: dict[str, dict[str, Any]] = {
    "action": {"status": Status.REQUIRES_ACTION, "next_action_url": "https://bank.example/c"},
    "pending": {"status": Status.PENDING},
    "captured": {"status": Status.SUCCEEDED, "amount_captured_minor": AMOUNT},
}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(order=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=7))
def test_any_order_with_the_capture_in_it_ends_completed_and_booked_once(
    api: Api, order: list[str]
) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    for number, name in enumerate(order):
        answer = ProviderAnswer(provider_id=intent.external_id, **ANSWERS[name])
        assert handle_provider_event(_event(number, intent, answer), account)

    payment = api.get(f"/v1/payments/{made['id']}?expand=ledger,events").json()["data"]
    if "captured" in order:
        assert payment["status"] == "completed"
        assert [line["state"] for line in payment["ledger"]] == ["posted"] * 2
        completed = [e for e in payment["events"] if e["type"] == "payment.completed"]
        assert len(completed) == 1
    else:
        # Once the challenge has been left, nothing leads back to it.
        left = "pending" in order
        assert payment["status"] == ("processing" if left else "requires_action")
        assert bool(payment["next_action"]) is not left
        assert [line["state"] for line in payment["ledger"]] == ["pending"]


@pytest.mark.parametrize("name", ["action", "pending"])
def test_news_older_than_the_newest_that_was_applied_change_nothing(api: Api, name: str) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    now = dt.datetime.now(dt.UTC)
    for number, (told, age_s) in enumerate([("action", 0), (name, 30)]):
        answer = ProviderAnswer(
            provider_id=intent.external_id,
            **{**ANSWERS[told], "next_action_url": f"https://bank.example/{number}"},
        )
        event = dataclasses.replace(
            _event(number, intent, answer), occurred_at=now - dt.timedelta(seconds=age_s)
        )
        assert handle_provider_event(event, account)

    payment = api.get(f"/v1/payments/{made['id']}").json()["data"]
    assert payment["status"] == "requires_action"
    assert payment["next_action"]["url"] == "https://bank.example/0"


def test_the_providers_answer_does_not_lead_back_into_a_challenge_that_was_left(api: Api) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    pending = ProviderAnswer(provider_id=intent.external_id, **ANSWERS["pending"])
    assert handle_provider_event(_event(1, intent, pending), account)

    # The sandbox still says that the challenge is open.
    intent_check(intent_id=intent.id)

    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "processing"


def test_the_same_answer_judged_against_an_old_reading_is_harmless(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    old_reading, _ = _intent(api, made["id"])
    captured = ProviderAnswer(provider_id=intent.external_id, **ANSWERS["captured"])
    assert handle_provider_event(_event(1, intent, captured), account)
    before = books(admin_dsn, api.tenants.merchant.id)

    intent_apply(intent=old_reading, answer=from_provider(captured), actor=Actor.system("test"))

    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_a_late_failure_does_not_undo_a_completed_payment(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    before = books(admin_dsn, api.tenants.merchant.id)
    late = ProviderAnswer(
        status=Status.FAILED,
        provider_id=intent.external_id,
        decline=Decline(code="card_declined", message="Declined."),
    )

    assert handle_provider_event(_event(1, intent, late), account)

    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_a_capture_of_a_payment_that_failed_here_goes_to_the_exceptions_inbox(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay("4000000000000002").json()["error"]["details"]["payment"]
    intent, account = _intent(api, made["id"])
    before = books(admin_dsn, api.tenants.merchant.id)
    late = ProviderAnswer(
        status=Status.SUCCEEDED, provider_id=intent.external_id, amount_captured_minor=AMOUNT
    )

    assert handle_provider_event(_event(1, intent, late), account)

    intent, _ = _intent(api, made["id"])
    assert (intent.state, intent.failure_code) == ("FAILED", "captured_after_end")
    assert intent.exception_at is not None
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_an_event_for_something_unknown_is_left_for_later(api: Api) -> None:
    made = api.pay().json()["data"]
    _, account = _intent(api, made["id"])
    answer = ProviderAnswer(status=Status.SUCCEEDED, amount_captured_minor=1)
    foreign = ProviderEvent(
        event_id="x",
        kind=EventKind.PAYMENT,
        type="payment.test",
        occurred_at=dt.datetime.now(dt.UTC),
        provider_id="sbpay_unknown",
        payment=answer,
    )

    assert handle_provider_event(foreign, account) is False


def test_an_event_about_other_money_is_left_to_a_person(api: Api) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    answer = ProviderAnswer(
        status=Status.SUCCEEDED, provider_id=intent.external_id, amount_captured_minor=AMOUNT + 1
    )

    assert handle_provider_event(_event(1, intent, answer), account)

    assert [line["code"] for line in _intent(api, made["id"])[0].exceptions] == [
        "provider_disagrees"
    ]
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "requires_action"


def _intent(api: Api, payment_id: str) -> tuple[Intent, Account]:
    merchant_id = api.tenants.merchant.id
    with tenant_atomic(Scope.merchant(merchant_id)):
        intent = Intent.objects.get(document_id=ids.decode("pay", payment_id))
    account = route(currency="EUR", amount_minor=1, merchant_id=merchant_id, livemode=False)
    assert account.id == intent.provider_account_id
    return intent, account


def test_an_event_of_another_account_moves_nothing(api: Api) -> None:
    made = api.pay("4000000000003220", amount=AMOUNT).json()["data"]
    intent, account = _intent(api, made["id"])
    answer = ProviderAnswer(
        status=Status.SUCCEEDED, provider_id=intent.external_id, amount_captured_minor=AMOUNT
    )
    other = dataclasses.replace(account, id=uuid.uuid4())

    assert handle_provider_event(_event(1, intent, answer), other) is False

    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "requires_action"


def test_a_refund_that_fails_after_its_success_goes_to_the_exceptions_inbox(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay(amount=AMOUNT).json()["data"]
    refund = api.post("/v1/refunds", {"payment": made["id"]}).json()["data"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        intent = Intent.objects.get(document_id=ids.decode("ref", refund["id"]))
    _, account = _intent(api, made["id"])
    before = books(admin_dsn, api.tenants.merchant.id)
    event = ProviderEvent(
        event_id="returned",
        kind=EventKind.REFUND,
        type="refund.failed",
        occurred_at=dt.datetime.now(dt.UTC),
        refund=RefundAnswer(
            status=Status.FAILED,
            provider_id=intent.external_id,
            reference=intent.public_id,
            failure=Decline(code="lost_or_stolen_card", message="The card is closed."),
        ),
    )

    assert handle_provider_event(event, account)

    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        intent = Intent.objects.get(pk=intent.pk)
    assert (intent.state, intent.failure_code) == ("SETTLED", "refund_returned")
    assert intent.exception_at is not None
    assert books(admin_dsn, api.tenants.merchant.id) == before
