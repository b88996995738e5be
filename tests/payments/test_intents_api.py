"""`POST /v1/intents`: trusted services, signed requests, one effect per nonce and per key."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from django.test import Client

from core import hmac_auth
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
