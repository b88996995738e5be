"""`POST /v1/intents`: trusted services, signed requests, one effect per nonce and per key."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, NoReturn

import psycopg
import pytest
from django.test import Client
from django.utils import timezone

from core import hmac_auth, ids
from core.db import Scope, tenant_atomic
from core.models import IdempotencyRecord
from payments.acceptance.services import release_due
from payments.acceptance.services.disputes import dispute_notice
from payments.intents.models import Intent
from payments.providers.base import DisputeNotice
from tests.api import Api, new_api
from tests.factories import make_merchant
from tests.payments.support import books, charges


@pytest.fixture
def api(database: str) -> Api:
    return new_api(service_caller=True)


def _send(api: Api, method: str, path: str, body: bytes = b"", **changed: Any) -> Any:
    key = changed.pop("key", secrets.token_hex(16))
    headers = changed.pop("headers", None) or hmac_auth.sign_headers(
        key_id=api.tenants.service_key_id,
        secret=changed.pop("secret", api.tenants.service_secret).encode(),
        method=method,
        url=f"http://testserver{path}",
        content_type="application/json",
        idempotency_key=key,
        body=body,
    )
    sent = changed.pop("sent", body)
    return Client().generic(
        method,
        path,
        sent,
        content_type="application/json",
        headers={**headers, "Idempotency-Key": key},
    )


def _body(api: Api, **changed: Any) -> bytes:
    return json.dumps(
        {
            "merchant": api.tenants.merchant.public_id,
            "operation": "payment",
            "amount": 1_000,
            "currency": "EUR",
            "payment_method_token": api.token(),
            "metadata": {"tags": ["kyc_verified"]},
            **changed,
        }
    ).encode()


def test_a_signed_intent_settles_and_can_be_read(api: Api, admin_dsn: str) -> None:
    body = _body(api)
    answer = _send(api, "POST", "/v1/intents", body, key="one")
    assert answer.status_code == 201, answer.content
    intent = answer.json()["data"]
    assert (intent["state"], intent["amount_settled"], intent["tags"]) == (
        "SETTLED",
        1_000,
        ["kyc_verified"],
    )
    for name in ("created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", intent[name]), intent[name]
    again = _send(api, "POST", "/v1/intents", body, key="one")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["data"]["id"] == intent["id"]
    read = _send(api, "GET", f"/v1/intents/{intent['id']}")
    assert read.status_code == 200, read.content
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 0)]
    assert books(admin_dsn, api.tenants.merchant.id)["provider_clearing"] == -1_000


def test_a_changed_body_or_a_wrong_secret_is_refused_and_moves_nothing(
    api: Api, admin_dsn: str
) -> None:
    body = _body(api)
    tampered = _send(api, "POST", "/v1/intents", body, sent=body.replace(b"1000", b"9000"))
    forged = _send(api, "POST", "/v1/intents", body, secret="not the secret")
    assert (tampered.status_code, forged.status_code) == (401, 401)
    assert charges(admin_dsn, api.tenants.merchant.id) == []


def test_an_api_key_may_not_submit_intents(api: Api, admin_dsn: str) -> None:
    answer = api.call("POST", "/v1/intents", raw=_body(api))
    assert answer.status_code == 403
    assert charges(admin_dsn, api.tenants.merchant.id) == []


def test_a_key_of_another_merchants_intent_is_not_used_again(api: Api, admin_dsn: str) -> None:
    """Row-level security hides the first merchant's rows from the second's scope; the caller's key
    is the caller's all the same."""
    first = _send(api, "POST", "/v1/intents", _body(api), key="two-merchants")
    assert first.status_code == 201, first.content
    other = make_merchant(api.tenants)
    second = _send(
        api,
        "POST",
        "/v1/intents",
        _body(api, merchant=other.merchant.public_id),
        key="two-merchants",
    )
    assert second.status_code == 422, second.content
    assert second.json()["error"]["code"] == "idempotency_key_reused"
    assert charges(admin_dsn, other.merchant.id) == []


def test_a_path_that_has_to_be_encoded_can_be_signed(api: Api) -> None:
    answer = _send(api, "GET", "/v1/intents/int%20%C3%BC(1)~%25")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")


def test_an_unknown_merchant_is_not_found(api: Api, admin_dsn: str) -> None:
    body = _body(api, merchant="mer_00000000000000000000000000")
    answer = _send(api, "POST", "/v1/intents", body)
    assert answer.status_code == 404
    assert charges(admin_dsn, api.tenants.merchant.id) == []


@pytest.mark.usefixtures("own_database")
def test_the_money_of_a_service_is_a_payment_that_can_be_moved_on(api: Api, admin_dsn: str) -> None:
    intent = _send(api, "POST", "/v1/intents", _body(api)).json()["data"]
    payment_id = intent["document"]

    read = api.get(f"/v1/payments/{payment_id}?expand=events,attempts").json()["data"]
    assert (read["status"], read["sales_channel"], read["amount_captured"]) == (
        "completed",
        "service",
        1_000,
    )
    assert [each["id"] for each in read["attempts"]] == [intent["id"]]
    assert [each["type"] for each in read["events"]] == [
        "payment.created",
        "payment.processing",
        "payment.completed",
    ]
    refund = api.post("/v1/refunds", {"payment": payment_id, "amount": 300})
    assert refund.status_code == 201, refund.content
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 300)]

    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update acceptance_payment set available_at = now() where merchant_id = %s",
            [api.tenants.merchant.id],
        )
    release_due()

    found = books(admin_dsn, api.tenants.merchant.id)
    assert (found["merchant_pending"], found["merchant_available"]) == (0, 700 - intent["fee"])


@pytest.mark.parametrize(("step", "state"), [("capture", "SETTLED"), ("cancel", "CANCELLED")])
def test_a_hold_of_a_service_is_captured_or_released(
    api: Api, admin_dsn: str, step: str, state: str
) -> None:
    held = _send(api, "POST", "/v1/intents", _body(api, capture_method="manual")).json()["data"]
    assert held["state"] == "AUTHORIZED"

    done = api.post(f"/v1/payments/{held['document']}/{step}")

    assert done.status_code == 200, done.content
    read = _send(api, "GET", f"/v1/intents/{held['id']}").json()["data"]
    assert read["state"] == state


def test_a_dispute_of_a_services_payment_is_booked(api: Api, admin_dsn: str) -> None:
    made = _send(api, "POST", "/v1/intents", _body(api)).json()["data"]
    intent = _row(api, made["id"])
    dispute_notice(intent, _notice(intent))

    assert books(admin_dsn, api.tenants.merchant.id)["disputes"] == 1_000


def test_a_dispute_of_what_is_no_payment_is_not_passed_over(api: Api) -> None:
    made = _send(api, "POST", "/v1/intents", _body(api)).json()["data"]
    intent = _row(api, made["id"])
    intent.document_type = "service"

    with pytest.raises(ValueError, match="which is no payment"):
        dispute_notice(intent, _notice(intent))


def test_a_services_request_that_died_is_answered_with_its_intent(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = _body(api)

    def dies(*_: object, **__: object) -> NoReturn:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("payments.intents.services.steps.intent_advance", dies)
        with pytest.raises(SystemExit):
            _send(api, "POST", "/v1/intents", body, key="once")
    with tenant_atomic(Scope.worker()):
        # No process has this id: whoever held the key is gone.
        IdempotencyRecord.objects.filter(key="once", status=None).update(holder=1)

    retry = _send(api, "POST", "/v1/intents", body, key="once")

    assert retry.status_code == 201, retry.content
    data = retry.json()["data"]
    assert (data["object"], data["state"], data["step"]) == ("intent", "SETTLED", None)


def _row(api: Api, intent_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(pk=ids.decode("int", intent_id))


def _notice(intent: Intent) -> DisputeNotice:
    return DisputeNotice(
        provider_id="dp_1",
        payment_provider_id=intent.external_id,
        amount_minor=1_000,
        currency="EUR",
        reason="fraudulent",
        status="needs_response",
        occurred_at=timezone.now(),
    )
