"""Requests that a provider did nothing with: sent again in time, else left in a state to act on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from core.db import Scope, tenant_atomic
from payments.intents.models import Intent
from payments.intents.services.recovery import intent_check
from payments.providers.calls import forget_calls
from payments.providers.selectors import forget_accounts
from tests.payments.slow_provider import SlowProvider, slow_provider
from tests.payments.support import books
from tests.payments.test_slow_providers import Shop, shops


@pytest.fixture
def provider() -> Iterator[SlowProvider]:
    with slow_provider() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_known(database: str) -> Iterator[None]:
    forget_calls()
    forget_accounts()
    yield
    forget_calls()


@pytest.mark.parametrize("retry_after", ["", "1"])
def test_a_request_that_was_limited_is_sent_again_under_its_key(
    provider: SlowProvider, admin_dsn: str, retry_after: str
) -> None:
    (shop,) = shops(provider, 1)
    provider.limit(2, retry_after)
    answer = shop.pay()
    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "completed")
    (intent,) = shop.intents()
    assert provider.limited_keys == [f"{intent.public_id}-authorize"] * 2
    assert provider.keys == [f"{intent.public_id}-authorize"]
    assert provider.charges(intent.public_id) == 1
    found = books(admin_dsn, shop.merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-1_000, 0, 0)


def test_a_provider_that_wants_longer_than_the_request_has_is_left_to_a_worker(
    provider: SlowProvider,
) -> None:
    (shop,) = shops(provider, 1)
    provider.limit(1, "60")
    answer = shop.pay()
    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "processing")
    assert provider.asked == 1, "not before the provider said"
    (intent,) = shop.intents()
    assert (intent.unsent, intent.step) == (True, "authorize")

    intent_check(intent_id=intent.id)
    assert shop.status(answer.json()["data"]["id"]) == "completed"
    assert provider.charges(intent.public_id) == 1


def test_what_was_not_taken_can_be_canceled_at_once(provider: SlowProvider, admin_dsn: str) -> None:
    (shop,) = shops(provider, 1)
    provider.limit(1, "60")
    payment_id = shop.pay().json()["data"]["id"]

    canceled = shop.api.post(f"/v1/payments/{payment_id}/cancel", {}, key="stop")
    assert (canceled.status_code, canceled.json()["data"]["status"]) == (200, "canceled")
    again = shop.api.post(f"/v1/payments/{payment_id}/cancel", {}, key="stop")
    assert again.headers["Idempotent-Replayed"] == "true"

    (intent,) = shop.intents()
    assert intent.state == "CANCELLED"
    intent_check(intent_id=intent.id)
    assert (len(provider.limited_keys), provider.keys) == (1, []), "the worker only looks for it"
    found = books(admin_dsn, shop.merchant_id)
    assert (found["pending"], found["sum"]) == (0, 0)


def test_an_attempt_that_a_worker_has_begun_to_send_is_not_withdrawn(
    provider: SlowProvider,
) -> None:
    (shop,) = shops(provider, 1)
    provider.limit(1, "60")
    payment_id = shop.pay().json()["data"]["id"]
    (intent,) = shop.intents()
    intent_check(intent_id=intent.id)
    refused = shop.api.post(f"/v1/payments/{payment_id}/cancel", {})
    assert (refused.status_code, shop.status(payment_id)) == (409, "completed")


def test_a_closed_port_is_not_an_unknown_outcome(settings: Any) -> None:
    settings.PROVIDER_BUDGET_S = 2.0
    closed = SlowProvider()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    (shop,) = shops(closed, 1)
    answer = shop.pay()
    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "processing")
    (intent,) = shop.intents()
    assert (intent.unsent, intent.checks) == (True, 0)


def test_a_saved_card_that_could_not_be_saved_is_503(provider: SlowProvider) -> None:
    (shop,) = shops(provider, 1)
    customer = shop.api.post("/v1/customers", {"email": "a@example.test"}).json()["data"]["id"]
    provider.limit(1, "60")
    body = {"customer": customer, "payment_method_token": "tok_visa"}
    answer = shop.api.post("/v1/payment_methods", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_not_ready")
    assert int(answer.headers["Retry-After"]) == 60


@pytest.mark.parametrize(
    ("amount", "currency", "code", "says"),
    [
        (1001, "KWD", "amount_step", "1000 or 1010"),
        (49, "EUR", "amount_too_small", "at least 50"),
        (100_000_000, "USD", "amount_too_large", "at most 99999999"),
    ],
)
def test_what_the_provider_cannot_take_is_refused_before_anything_is_stored(
    provider: SlowProvider, admin_dsn: str, amount: int, currency: str, code: str, says: str
) -> None:
    (shop,) = shops(provider, 1)
    answer = shop.api.pay(token="tok_visa", amount=amount, currency=currency)
    assert answer.status_code == 400, answer.content
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "invalid_request_error",
        code,
        "amount",
    )
    assert says in error["message"]
    assert "stripe" not in error["message"].lower()
    assert (provider.asked, shop.intents()) == (0, [])
    assert shop.api.get("/v1/payments").json()["data"]["items"] == []


def test_a_refund_between_two_steps_is_refused_and_sets_nothing_aside(
    provider: SlowProvider,
) -> None:
    (shop,) = shops(provider, 1)
    paid = shop.api.pay(token="tok_visa", amount=2_000, currency="KWD").json()["data"]
    asked = provider.asked
    answer = shop.api.post("/v1/refunds", {"payment": paid["id"], "amount": 1_001})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("amount_step", "amount")
    assert provider.asked == asked
    read = shop.api.get(f"/v1/payments/{paid['id']}").json()["data"]
    assert read["amount_refunded"] == 0
    with tenant_atomic(Scope.merchant(shop.merchant_id)):
        assert Intent.objects.count() == 1


def held(shop: Shop, provider: SlowProvider) -> str:
    """A payment that waits for its capture, of which the provider takes no request for a minute."""
    made = shop.pay(capture_method="manual").json()["data"]
    assert made["amount_capturable"] == 1_000
    provider.limit(1, "60")
    return str(made["id"])


def test_a_capture_that_was_not_taken_may_be_repeated_under_its_key(
    provider: SlowProvider, admin_dsn: str
) -> None:
    (shop,) = shops(provider, 1)
    payment_id = held(shop, provider)
    path = f"/v1/payments/{payment_id}/capture"
    assert shop.api.post(path, {"amount": 600}).status_code == 202

    again = shop.api.post(path, {"amount": 600})
    assert (again.status_code, again.json()["data"]["amount_captured"]) == (200, 600)
    (intent,) = shop.intents()
    assert provider.limited_keys == [f"{intent.public_id}-settle-1"]
    assert provider.captures == {f"{intent.public_id}-settle-1": 600}
    intent_check(intent_id=intent.id)
    assert len(provider.captures) == 1
    found = books(admin_dsn, shop.merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-600, 0, 0)


def test_a_capture_of_another_amount_has_a_key_of_its_own(provider: SlowProvider) -> None:
    (shop,) = shops(provider, 1)
    path = f"/v1/payments/{held(shop, provider)}/capture"
    assert shop.api.post(path, {"amount": 600}).status_code == 202
    assert shop.api.post(path, {"amount": 500}).json()["data"]["amount_captured"] == 500
    (intent,) = shop.intents()
    assert provider.captures == {f"{intent.public_id}-settle-2": 500}


def test_a_capture_that_was_not_taken_may_be_canceled(
    provider: SlowProvider, admin_dsn: str
) -> None:
    (shop,) = shops(provider, 1)
    payment_id = held(shop, provider)
    assert shop.api.post(f"/v1/payments/{payment_id}/capture", {}).status_code == 202
    canceled = shop.api.post(f"/v1/payments/{payment_id}/cancel", {})
    assert (canceled.status_code, canceled.json()["data"]["status"]) == (200, "canceled")
    (intent,) = shop.intents()
    intent_check(intent_id=intent.id)
    assert provider.captures == {}
    found = books(admin_dsn, shop.merchant_id)
    assert (found["pending"], found["sum"]) == (0, 0)


def test_a_capture_that_was_not_taken_is_made_by_a_worker(provider: SlowProvider) -> None:
    (shop,) = shops(provider, 1)
    payment_id = held(shop, provider)
    assert shop.api.post(f"/v1/payments/{payment_id}/capture", {}).status_code == 202
    (intent,) = shop.intents()
    intent_check(intent_id=intent.id)
    assert shop.status(payment_id) == "completed"
    assert provider.captures == {f"{intent.public_id}-settle-1": 1_000}
