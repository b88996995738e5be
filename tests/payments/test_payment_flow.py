"""One payment from the API to the ledger: every outcome of the published test cards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest
from pytest_django.fixtures import Settings

from payments.intents.progress import HOLD_EXPIRES_AFTER
from payments.providers.adapters.sandbox.adapter import SandboxAdapter
from payments.providers.base import ProviderError
from tests.api import Api, new_api
from tests.payments.support import books


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _balance(api: Api) -> dict[str, Any]:
    return api.get("/v1/balance").json()["data"]


def test_a_card_payment_completes_and_stands_in_the_books(api: Api) -> None:
    answer = api.pay(amount=10_000, reference="order-1")
    assert answer.status_code == 201, answer.content
    payment = answer.json()["data"]
    assert payment["status"] == "completed"
    assert payment["amount_captured"] == 10_000
    assert payment["card"]["last4"] == "4242"
    assert (payment["fee"], payment["net"]) == (290, 9_710)
    expanded = api.get(f"/v1/payments/{payment['id']}?expand=events,attempts,ledger").json()["data"]
    assert [event["type"] for event in expanded["events"]] == [
        "payment.created",
        "payment.processing",
        "payment.completed",
    ]
    lines = [(line["code"], line["amount"], line["state"]) for line in expanded["ledger"]]
    assert lines == [
        ("payment", 10_000, "posted"),
        ("platform_fee", 290, "posted"),
    ]
    assert [attempt["state"] for attempt in expanded["attempts"]] == ["SETTLED"]


def test_the_ledger_and_a_payment_name_each_other_by_the_same_ids(api: Api) -> None:
    payment = api.pay(amount=10_000).json()["data"]
    refund = api.post("/v1/refunds", {"payment": payment["id"], "amount": 100}).json()["data"]
    lines = api.get(f"/v1/payments/{payment['id']}?expand=ledger").json()["data"]["ledger"]

    shown = [api.get(f"/v1/ledger/transfers/{line['id']}").json()["data"] for line in lines]

    documents = {each["code"]: each["document"] for each in shown}
    assert documents == {
        "payment": payment["id"],
        "platform_fee": payment["id"],
        "refund": refund["id"],
    }
    for document, codes in (
        (payment["id"], documents.keys() - {"refund"}),
        (refund["id"], {"refund"}),
    ):
        listed = api.get(f"/v1/ledger/transfers?document={document}").json()["data"]["items"]
        assert {each["code"] for each in listed} == codes
        assert {each["document"] for each in listed} == {document}


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("4000000000000002", "card_declined"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
    ],
)
def test_a_decline_is_a_402_and_books_nothing(api: Api, number: str, code: str) -> None:
    answer = api.pay(number)
    assert answer.status_code == 402, answer.content
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("card_error", code)
    payment = error["details"]["payment"]
    assert payment["status"] == "failed"
    ledger = api.get(f"/v1/payments/{payment['id']}?expand=ledger").json()["data"]["ledger"]
    assert [line["state"] for line in ledger] == ["voided"]


def test_created_then_confirmed(api: Api) -> None:
    created = api.post("/v1/payments", {"amount": 500, "currency": "eur"})
    assert created.status_code == 201
    assert created.json()["data"]["status"] == "pending"
    payment_id = created.json()["data"]["id"]
    confirmed = api.post(
        f"/v1/payments/{payment_id}/confirm", {"payment_method_token": api.token()}
    )
    assert confirmed.status_code == 200, confirmed.content
    assert confirmed.json()["data"]["status"] == "completed"


def test_manual_capture_in_part_releases_the_remainder(api: Api) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    assert (made["status"], made["amount_capturable"]) == ("processing", 1_000)
    until = dt.datetime.fromisoformat(made["capture_before"])
    made_at = dt.datetime.fromisoformat(made["created_at"])
    assert abs(until - made_at - HOLD_EXPIRES_AFTER) < dt.timedelta(minutes=1)
    too_much = api.post(f"/v1/payments/{made['id']}/capture", {"amount": 1_001})
    assert too_much.status_code == 400
    captured = api.post(f"/v1/payments/{made['id']}/capture", {"amount": 400})
    assert captured.status_code == 200, captured.content
    data = captured.json()["data"]
    assert (data["status"], data["amount_captured"], data["amount_capturable"]) == (
        "completed",
        400,
        0,
    )
    assert data["capture_before"] is None
    again = api.post(f"/v1/payments/{made['id']}/capture")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        ("4000000000000119", "Wait for payment.completed or payment.failed, and refund it"),
        ("4242424242424242", "refund it instead"),
    ],
)
def test_what_is_too_late_to_cancel_says_what_to_do(api: Api, number: str, advice: str) -> None:
    made = api.pay(number).json()["data"]

    answer = api.post(f"/v1/payments/{made['id']}/cancel")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "payment_state_conflict")
    assert advice in error["message"]
    left = api.get(f"/v1/payments/{made['id']}").json()["data"]
    assert left["status"] == made["status"]


def test_an_authorization_can_be_canceled(api: Api) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    canceled = api.post(f"/v1/payments/{made['id']}/cancel")
    assert canceled.status_code == 200, canceled.content
    assert canceled.json()["data"]["status"] == "canceled"


def test_refund_in_part_then_whole(api: Api) -> None:
    payment = api.pay(amount=1_000).json()["data"]
    first = api.post("/v1/refunds", {"payment": payment["id"], "amount": 300})
    assert first.status_code == 201, first.content
    assert first.json()["data"]["status"] == "completed"
    too_much = api.post("/v1/refunds", {"payment": payment["id"], "amount": 701})
    assert too_much.status_code == 400
    rest = api.post("/v1/refunds", {"payment": payment["id"]})
    assert rest.json()["data"]["amount"] == 700
    read = api.get(f"/v1/payments/{payment['id']}").json()["data"]
    assert read["amount_refunded"] == 1_000


def test_three_d_secure_redirects(api: Api) -> None:
    made = api.pay("4000000000003220", return_url="https://shop.example/back")
    assert made.status_code == 201, made.content
    data = made.json()["data"]
    assert data["status"] == "requires_action"
    assert data["next_action"]["type"] == "redirect"
    assert "/sandbox/3ds/" in data["next_action"]["url"]


def test_a_charge_whose_answer_is_lost_stays_processing(api: Api) -> None:
    made = api.pay("4000000000005043")
    assert made.status_code == 201, made.content
    assert made.json()["data"]["status"] == "processing"


def test_a_refund_that_the_provider_refuses_gives_its_claim_back(api: Api, admin_dsn: str) -> None:
    payment = api.pay(amount=1_000).json()["data"]
    before = books(admin_dsn, api.tenants.merchant.id)
    _refunded_at_the_bank(admin_dsn, api, 1_000)

    refused = api.post("/v1/refunds", {"payment": payment["id"], "amount": 400})

    assert refused.status_code == 402, refused.content
    error = refused.json()["error"]
    assert (error["code"], error["details"]["refund"]["status"]) == (
        "charge_already_refunded",
        "failed",
    )
    assert api.get(f"/v1/payments/{payment['id']}").json()["data"]["amount_refunded"] == 0
    assert books(admin_dsn, api.tenants.merchant.id) == before
    _refunded_at_the_bank(admin_dsn, api, 0)
    assert api.post("/v1/refunds", {"payment": payment["id"]}).status_code == 201


def test_the_fixed_fee_is_taken_in_the_merchants_own_currency_alone(database: str) -> None:
    api = new_api(default_currency="USD", fee_bps=290, fee_fixed_minor=30)
    fees = [
        api.pay(amount=10_000, currency=currency).json()["data"]["fee"]
        for currency in ("USD", "EUR")
    ]
    assert fees == [320, 290]


def test_a_payment_smaller_than_its_fee_costs_all_of_it_and_no_more(
    database: str, admin_dsn: str
) -> None:
    api = new_api(default_currency="EUR", fee_bps=290, fee_fixed_minor=30)

    payment = api.pay(amount=20).json()["data"]

    assert (payment["status"], payment["fee"], payment["net"]) == ("completed", 20, 0)
    assert books(admin_dsn, api.tenants.merchant.id)["merchant_pending"] == 0


def _refunded_at_the_bank(admin_dsn: str, api: Api, amount_minor: int) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update providers_sandboxcharge set refunded_minor = %s where merchant_key = %s",
            [amount_minor, api.tenants.merchant.public_id],
        )


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("currency", "BTC", "currency_unknown"),
        ("currency", "ETH", "currency_unknown"),
        ("currency", "usdt", "currency_unknown"),
        ("confirm", "yes", "parameter_invalid"),
        ("confirm", "true", "parameter_invalid"),
        ("confirm", 1, "parameter_invalid"),
        ("return_url", "https://shop.example/?card=4242424242424242", "card_number_refused"),
        ("return_url", "https://shop.example/4242%204242%204242%204242", "card_number_refused"),
    ],
)
def test_what_a_card_payment_does_not_take_is_refused_and_makes_nothing(
    api: Api, field: str, value: Any, code: str
) -> None:
    body = {"amount": 500, "currency": "EUR", "payment_method_token": api.token(), field: value}

    refused = api.post("/v1/payments", body)

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, code, field)
    assert b"4242" not in refused.content
    assert api.get("/v1/payments").json()["data"]["items"] == []


def test_an_e_mail_that_holds_a_card_number_is_refused(api: Api) -> None:
    refused = api.post("/v1/customers", {"email": "4242424242424242@shop.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "card_number_refused")
    assert api.get("/v1/customers").json()["data"]["items"] == []


def _unusable(api: Api, kind: str, settings: Settings) -> tuple[str, int, str]:
    """A token that cannot be charged, with the status and the code that say so."""
    if kind == "foreign":
        return new_api().token(), 404, "resource_missing"
    if kind == "used":
        token = api.token()
        assert api.pay(token=token).status_code == 201
        return token, 400, "token_already_used"
    if kind == "expired":
        settings.SANDBOX_TOKEN_TTL_S = 0
        return api.token(), 400, "token_expired"
    return "tok_mistyped", 404, "resource_missing"


UNUSABLE = pytest.mark.parametrize("kind", ["unknown", "foreign", "used", "expired"])


@UNUSABLE
def test_a_token_that_cannot_be_charged_is_no_decline(
    api: Api, kind: str, settings: Settings
) -> None:
    token, status, code = _unusable(api, kind, settings)

    answer = api.pay(token=token, key=f"unusable-{kind}")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "payment_method_token"
    assert error["details"]["payment"]["status"] == "failed"
    again = api.pay(token=token, key=f"unusable-{kind}")
    assert (again.status_code, again.json()["error"]) == (status, error)


@UNUSABLE
def test_a_payment_survives_a_token_that_cannot_be_charged(
    api: Api, kind: str, settings: Settings
) -> None:
    made = api.post("/v1/payments", {"amount": 500, "currency": "EUR"}).json()["data"]
    address = f"/v1/payments/{made['id']}"
    token, status, code = _unusable(api, kind, settings)

    refused = api.post(f"{address}/confirm", {"payment_method_token": token})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (status, code)
    assert (error["type"], error["param"]) == ("invalid_request_error", "payment_method_token")
    left = api.get(f"{address}?expand=events,attempts").json()["data"]
    assert (left["status"], left["attempts"]) == ("pending", [])
    assert [event["type"] for event in left["events"]] == ["payment.created"]
    settings.SANDBOX_TOKEN_TTL_S = 900
    paid = api.post(f"{address}/confirm", {"payment_method_token": api.token()})
    assert paid.json()["data"]["status"] == "completed"


def test_a_provider_that_does_not_say_leaves_the_token_to_the_charge(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: SandboxAdapter, **_: str) -> None:
        raise ProviderError("no answer", permanent=False, code="provider_unreachable")

    monkeypatch.setattr(SandboxAdapter, "check_source", silent)
    made = api.post("/v1/payments", {"amount": 500, "currency": "EUR"}).json()["data"]
    address = f"/v1/payments/{made['id']}/confirm"

    paid = api.post(address, {"payment_method_token": api.token()})

    assert paid.json()["data"]["status"] == "completed"
