"""Inbound webhooks: verified over the raw bytes, stored once, parked until they can be matched."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from typing import Any

import psycopg
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from core import inbox
from core.ids import encode
from payments.providers import services, signing
from payments.providers.adapters.sandbox import delivery
from payments.providers.adapters.sandbox.spec import webhook_secret
from payments.providers.adapters.sandbox.vault import CardInput, tokenize
from payments.providers.base import CreatePayment, EventKind, ProviderEvent, Status
from payments.providers.selectors import Account, adapter_for

Handled = list[tuple[ProviderEvent, Account]]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "_enqueue", lambda message_id: None)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Handled:
    """A handler that knows everything it is told about."""
    seen: Handled = []

    def handler(event: ProviderEvent, account: Account) -> bool:
        seen.append((event, account))
        return True

    monkeypatch.setattr(services, "_handler", handler)
    return seen


def body(**changes: Any) -> dict[str, Any]:
    mark = secrets.token_hex(16)
    data = {
        "id": f"sbpay_{mark}",
        "reference": f"int_{mark}",
        "state": "captured",
        "amount": 1999,
        "captured": 1999,
        "refunded": 0,
        "fee": 30,
        "currency": "USD",
        "card": None,
    }
    event = {
        "id": f"sbevt_{mark}",
        "type": "payment.captured",
        "created": "2026-01-01T00:00:00+00:00",
        "data": data,
    }
    return event | changes


def send(
    account_id: uuid.UUID,
    event: object,
    *,
    provider: str = "sandbox",
    age_s: int = 0,
    secret: str = "",
    raw: bytes | None = None,
) -> Any:
    raw = json.dumps(event).encode() if raw is None else raw
    signature = signing.sign(
        raw_body=raw,
        secret=secret or webhook_secret(account_id),
        timestamp_s=int(time.time()) - age_s,
    )
    return Client().post(
        f"/v1/provider_webhooks/{provider}/{encode('pra', account_id)}",
        data=raw,
        content_type="application/json",
        headers={"Sandbox-Signature": signature},
    )


def stored(admin_dsn: str, event_id: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(admin_dsn) as conn:
        return conn.execute(
            "select id, state, raw, reference, event_type from core_inboxmessage"
            " where event_id = %s",
            [event_id],
        ).fetchall()


def test_an_event_is_stored_as_it_came_and_answered_with_200(
    sandbox_account: uuid.UUID, admin_dsn: str
) -> None:
    event = body()
    response = send(sandbox_account, event)
    assert response.status_code == 200
    assert response.json()["data"] == {
        "received": True,
        "duplicate": False,
        "event": event["id"],
    }
    [(_, state, raw, reference, kind)] = stored(admin_dsn, event["id"])
    assert bytes(raw) == json.dumps(event).encode()
    assert (state, reference, kind) == ("received", event["data"]["reference"], "payment.captured")


def test_a_second_delivery_is_answered_with_200_and_not_stored_again(
    sandbox_account: uuid.UUID, admin_dsn: str
) -> None:
    event = body()
    send(sandbox_account, event)
    again = send(sandbox_account, event)
    assert again.status_code == 200
    assert again.json()["data"]["duplicate"] is True
    assert len(stored(admin_dsn, event["id"])) == 1


def test_the_stored_event_reaches_the_handler_once(
    sandbox_account: uuid.UUID, admin_dsn: str, handled: Handled
) -> None:
    event = body()
    send(sandbox_account, event)
    [(message_id, *_)] = stored(admin_dsn, event["id"])
    assert inbox.process(message_id) == "processed"
    assert inbox.process(message_id) == ""
    [(read, account)] = handled
    assert (read.kind, read.reference) == (EventKind.PAYMENT, event["data"]["reference"])
    assert (account.id, account.provider, account.livemode) == (sandbox_account, "sandbox", False)


def test_an_event_for_something_unknown_is_parked_and_matched_later(
    sandbox_account: uuid.UUID, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a handler that does not know the payment yet
    known: set[str] = set()
    monkeypatch.setattr(services, "_handler", lambda event, account: event.reference in known)
    event = body()
    reference = event["data"]["reference"]
    send(sandbox_account, event)
    [(message_id, *_)] = stored(admin_dsn, event["id"])
    assert inbox.process(message_id) == "parked"
    # When it appears
    known.add(reference)
    assert inbox.match_parked(reference) == 1
    # Then the event finds it
    assert inbox.process(message_id) == "processed"


def test_a_kind_that_nobody_handles_is_kept_and_done_with(
    sandbox_account: uuid.UUID, admin_dsn: str, handled: Handled
) -> None:
    event = body(type="account.renamed")
    assert send(sandbox_account, event).status_code == 200
    [(message_id, *_)] = stored(admin_dsn, event["id"])
    assert inbox.process(message_id) == "processed"
    assert handled == []


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"secret": "wrong"}, 401, "webhook_signature_invalid"),
        ({"age_s": 330}, 401, "webhook_timestamp_expired"),
        ({"age_s": -330}, 401, "webhook_timestamp_expired"),
        ({"provider": "stripe"}, 404, "resource_missing"),
        ({"provider": "nobody"}, 404, "resource_missing"),
    ],
)
def test_what_is_not_proven_is_not_stored(
    sandbox_account: uuid.UUID, admin_dsn: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    event = body()
    response = send(sandbox_account, event, **arguments)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert stored(admin_dsn, event["id"]) == []


def test_without_a_signature_nothing_is_stored(sandbox_account: uuid.UUID, admin_dsn: str) -> None:
    event = body()
    response = Client().post(
        f"/v1/provider_webhooks/sandbox/{encode('pra', sandbox_account)}",
        data=json.dumps(event),
        content_type="application/json",
    )
    assert response.status_code == 401
    assert stored(admin_dsn, event["id"]) == []


@pytest.mark.parametrize("account", ["pra_1", "nonsense", encode("pra", uuid.UUID(int=7))])
def test_an_unknown_account_is_not_found(account: str, admin_dsn: str) -> None:
    event = body()
    response = Client().post(
        f"/v1/provider_webhooks/sandbox/{account}", data=event, content_type="application/json"
    )
    assert response.status_code == 404
    assert stored(admin_dsn, event["id"]) == []


def unreadable() -> dict[str, bytes]:
    event = body()
    lone = json.dumps(event | {"id": "?"}).encode().replace(b'"?"', b'"\\ud800"', 1)
    return {
        "empty": b"",
        "cut off": b"{",
        "a list": b"[]",
        "an empty object": b"{}",
        "not UTF-8": b"\xff\xfe",
        "NUL in the id": json.dumps(event | {"id": "a\x00b"}).encode(),
        "a long id": json.dumps(event | {"id": "x" * 256}).encode(),
        "no id": json.dumps(event | {"id": ""}).encode(),
        "half a character": lone,
        "nested": b"[" * 100_000,
        "an amount that is no number": json.dumps(
            event | {"data": event["data"] | {"amount": "1999"}}
        ).encode(),
    }


@pytest.mark.parametrize("case", list(unreadable()))
def test_a_signed_body_that_is_no_event_is_refused(sandbox_account: uuid.UUID, case: str) -> None:
    response = send(sandbox_account, None, raw=unreadable()[case])
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "webhook_payload_invalid"


def test_a_body_above_the_limit_is_refused_unread(sandbox_account: uuid.UUID) -> None:
    response = send(sandbox_account, None, raw=b" " * (inbox.RAW_MAX_BYTES + 1))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "payload_too_large"


def test_other_methods_are_refused(sandbox_account: uuid.UUID) -> None:
    path = f"/v1/provider_webhooks/sandbox/{encode('pra', sandbox_account)}"
    assert Client().get(path).status_code == 405


def test_the_sandbox_tells_of_what_happens_later(
    sandbox_account: uuid.UUID, handled: Handled, admin_dsn: str, settings: Settings
) -> None:
    # Given a payment that stays processing
    settings.SANDBOX_SETTLE_AFTER_S = 0
    card = CardInput(number="4000000000000119", exp_month=12, exp_year=2034, cvc="123")
    mark = secrets.token_hex(8)
    waiting = adapter_for(sandbox_account).create_payment(
        CreatePayment(
            reference=f"int_{mark}",
            idempotency_key=mark,
            amount_minor=500,
            currency="USD",
            source=tokenize(card=card, merchant_key=mark).id,
            merchant_key=mark,
        )
    )
    assert waiting.status is Status.PENDING
    # When the sandbox sends what is due
    while delivery.deliver_due(account_id=sandbox_account):
        pass
    # Then the event came through the door and says that it settled
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute(
            "select id from core_inboxmessage where reference = %s", [waiting.reference]
        ).fetchall()
    [(message_id,)] = rows
    assert inbox.process(message_id) == "processed"
    [event] = [event for event, _ in handled if event.reference == waiting.reference]
    assert event.payment is not None
    assert (event.payment.status, event.payment.amount_captured_minor) == (Status.SUCCEEDED, 500)
