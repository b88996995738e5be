"""Holds and challenges: what may end them, and when; late news and a second look never do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest

from core import ids
from core.db import Scope, tenant_atomic
from payments.intents.models import Intent
from payments.intents.provider_events import handle_provider_event
from payments.intents.services.recovery import intent_check
from payments.intents.states import IntentState, Step
from payments.providers.adapters.sandbox.adapter import SandboxAdapter
from payments.providers.base import (
    KEY_REUSED,
    EventKind,
    ProviderAnswer,
    ProviderError,
    ProviderEvent,
    Status,
)
from payments.providers.selectors import account_get
from tests.api import Api, new_api
from tests.payments.support import books, charges, crash, later, recover

CHALLENGED = "4000000000003220"


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))


def _payment(api: Api, payment_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/payments/{payment_id}").json()["data"]
    return found


def _made_before(admin_dsn: str, intent: Intent, **age: int) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update intents_intent set created_at = %s where id = %s",
            [intent.created_at - dt.timedelta(**age), intent.id],
        )


def _bank(admin_dsn: str, intent: Intent, state: str) -> None:
    """What became of the charge at the provider without our hearing of it."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update providers_sandboxcharge set state = %s where reference = %s",
            [state, intent.public_id],
        )


def _hear(intent: Intent, **answer: Any) -> None:
    event = ProviderEvent(
        event_id="late",
        kind=EventKind.PAYMENT,
        type="payment.test",
        occurred_at=dt.datetime.now(dt.UTC),
        provider_id=intent.external_id,
        reference=intent.public_id,
        payment=ProviderAnswer(provider_id=intent.external_id, **answer),
    )
    assert intent.provider_account_id is not None
    assert handle_provider_event(event, account_get(intent.provider_account_id))


@pytest.mark.parametrize(
    "news",
    [
        {"status": Status.REQUIRES_ACTION, "next_action_url": "https://bank.example/c"},
        {"status": Status.PENDING},
        {"status": Status.SUCCEEDED},
    ],
)
def test_late_news_leave_a_hold_as_it_is(api: Api, admin_dsn: str, news: dict[str, Any]) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    before = _intent(api, made["id"])

    _hear(before, **news)

    after = _intent(api, made["id"])
    assert (after.state, after.next_check_at) == (IntentState.AUTHORIZED, before.next_check_at)
    read = _payment(api, made["id"])
    assert (read["amount_capturable"], read["next_action"]) == (1_000, None)


def test_asking_the_provider_does_not_give_up_a_hold(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    before = _intent(api, made["id"])
    later(admin_dsn, api.tenants.merchant.id)

    intent_check(intent_id=before.id)

    after = _intent(api, made["id"])
    assert (after.state, after.next_check_at) == (IntentState.AUTHORIZED, before.next_check_at)
    assert api.post(f"/v1/payments/{made['id']}/capture").status_code == 200


def test_asking_the_provider_does_not_end_a_challenge(api: Api, admin_dsn: str) -> None:
    made = api.pay(CHALLENGED, amount=1_000).json()["data"]
    before = _intent(api, made["id"])

    intent_check(intent_id=before.id)

    after = _intent(api, made["id"])
    assert (after.state, after.next_check_at) == (IntentState.VALIDATED, before.next_check_at)
    assert _payment(api, made["id"])["status"] == "requires_action"


def test_a_hold_that_nobody_captures_ends_after_its_time(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    _made_before(admin_dsn, _intent(api, made["id"]), days=7)

    intent_check(intent_id=_intent(api, made["id"]).id)

    assert _intent(api, made["id"]).state == IntentState.EXPIRED
    read = _payment(api, made["id"])
    assert (read["status"], read["failure"]["code"]) == ("canceled", "authorization_expired")
    found = books(admin_dsn, api.tenants.merchant.id)
    assert {name: value for name, value in found.items() if value} == {}


def test_a_challenge_that_nobody_answers_ends_after_its_time(api: Api, admin_dsn: str) -> None:
    made = api.pay(CHALLENGED, amount=1_000).json()["data"]
    _made_before(admin_dsn, _intent(api, made["id"]), hours=1)

    intent_check(intent_id=_intent(api, made["id"]).id)

    read = _payment(api, made["id"])
    assert (read["status"], read["next_action"]) == ("canceled", None)
    assert read["failure"]["code"] == "authentication_expired"
    assert _intent(api, made["id"]).state == IntentState.EXPIRED
    found = books(admin_dsn, api.tenants.merchant.id)
    assert {name: value for name, value in found.items() if value} == {}


def test_a_challenge_without_an_address_can_be_canceled(api: Api, admin_dsn: str) -> None:
    # Stripe names no page to visit when the payment was made without a return_url.
    made = api.pay(CHALLENGED, amount=1_000).json()["data"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update intents_intent set next_action_url = '' where id = %s",
            [_intent(api, made["id"]).id],
        )
    intent = _intent(api, made["id"])

    answer = api.post(f"/v1/payments/{made['id']}/cancel")

    assert answer.status_code == 200, answer.content
    assert _intent(api, made["id"]).state == IntentState.CANCELED
    assert intent.step == Step.NONE


def test_a_hold_that_the_provider_let_go_is_noticed(api: Api, admin_dsn: str) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    intent = _intent(api, made["id"])
    _bank(admin_dsn, intent, "canceled")

    intent_check(intent_id=intent.id)

    assert _intent(api, made["id"]).state == IntentState.EXPIRED
    assert _payment(api, made["id"])["status"] == "canceled"
    found = books(admin_dsn, api.tenants.merchant.id)
    assert {name: value for name, value in found.items() if value} == {}


def test_a_refused_capture_keeps_the_hold(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    path = f"/v1/payments/{made['id']}/capture"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update providers_sandboxcharge set amount_minor = 900 where reference = %s",
            [_intent(api, made["id"]).public_id],
        )
    refused = api.post(path)
    assert refused.status_code == 409, refused.content
    assert refused.json()["error"]["code"] == "amount_too_large"

    recover(admin_dsn, api.tenants.merchant.id)
    intent_check(intent_id=_intent(api, made["id"]).id)

    intent = _intent(api, made["id"])
    assert (intent.state, intent.step) == (IntentState.AUTHORIZED, Step.NONE)
    assert api.post(path, {"amount": 900}).status_code == 200
    assert charges(admin_dsn, api.tenants.merchant.id) == [(900, 0)]


@pytest.mark.parametrize("at", ["intent.void.begun", "intent.void.answered", "intent.committed"])
def test_killed_while_canceling_a_challenge(api: Api, admin_dsn: str, at: str) -> None:
    made = api.pay(CHALLENGED, amount=1_000).json()["data"]
    crash(api, at, "POST", f"/v1/payments/{made['id']}/cancel", "{}", "once")

    (intent,) = recover(admin_dsn, api.tenants.merchant.id)

    assert intent.state == IntentState.CANCELED
    assert charges(admin_dsn, api.tenants.merchant.id) == [(0, 0)]
    assert _payment(api, made["id"])["status"] == "canceled"
    found = books(admin_dsn, api.tenants.merchant.id)
    assert {name: value for name, value in found.items() if value} == {}


@pytest.mark.parametrize(("step", "end"), [("capture", "completed"), ("cancel", "canceled")])
def test_a_provider_too_busy_for_a_step_is_asked_again(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch, step: str, end: str
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]

    def busy(adapter: SandboxAdapter, request: Any) -> ProviderAnswer:
        raise ProviderError("Too many requests.", permanent=False, code="provider_rate_limited")

    with monkeypatch.context() as patched:
        patched.setattr(SandboxAdapter, f"{step}_payment", busy)
        answer = api.post(f"/v1/payments/{made['id']}/{step}")

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "processing")
    (intent,) = recover(admin_dsn, api.tenants.merchant.id)
    assert _payment(api, made["id"])["status"] == end
    captured = 1_000 if step == "capture" else 0
    assert (intent.settled_amount_minor, charges(admin_dsn, api.tenants.merchant.id)) == (
        captured,
        [(captured, 0)],
    )


def test_a_step_asked_for_anew_has_a_key_of_its_own_and_a_repetition_keeps_it(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    genuine = SandboxAdapter.cancel_payment
    keys: list[str] = []
    refusals = [
        ProviderError("It is processing.", permanent=True, code="payment_unexpected_state"),
        ProviderError("Too many requests.", permanent=False, code="provider_rate_limited"),
    ]

    def refused_at_first(adapter: SandboxAdapter, request: Any) -> ProviderAnswer:
        keys.append(request.idempotency_key)
        if refusals:
            raise refusals.pop(0)
        return genuine(adapter, request)

    monkeypatch.setattr(SandboxAdapter, "cancel_payment", refused_at_first)
    path = f"/v1/payments/{made['id']}/cancel"
    assert api.post(path).status_code == 409
    assert api.post(path).status_code == 200
    recover(admin_dsn, api.tenants.merchant.id)

    assert _payment(api, made["id"])["status"] == "canceled"
    first, second, repeated = keys
    assert first != second == repeated


def test_a_key_that_the_provider_has_seen_says_that_the_first_request_arrived(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = SandboxAdapter.create_payment

    def reused(adapter: SandboxAdapter, request: Any) -> ProviderAnswer:
        # The first request took effect and was lost; its repetition differs in something.
        genuine(adapter, request)
        raise ProviderError("Another request.", permanent=True, code=KEY_REUSED)

    with monkeypatch.context() as patched:
        patched.setattr(SandboxAdapter, "create_payment", reused)
        made = api.pay(amount=1_000).json()["data"]
    assert made["status"] == "processing"

    recover(admin_dsn, api.tenants.merchant.id)

    assert _payment(api, made["id"])["status"] == "completed"
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 0)]
