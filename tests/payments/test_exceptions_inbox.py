"""What goes to a person, that nothing said later is lost, and how it leaves the inbox again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from core import ids
from core.db import Scope, tenant_atomic
from core.models import AuditRecord
from payments.intents.models import Intent
from payments.intents.provider_events import handle_provider_event
from payments.intents.services import recovery
from payments.intents.services.recovery import intent_check
from payments.providers.adapters.sandbox.adapter import SandboxAdapter
from payments.providers.base import (
    CancelPayment,
    EventKind,
    ProviderAnswer,
    ProviderError,
    ProviderEvent,
    Status,
)
from payments.providers.selectors import account_get
from tests.api import Api, new_api
from tests.payments.support import books, charges
from tests.tenants.test_permission_table import browser_for

DECLINED = "4000000000000002"
AMOUNT = 1_000


@pytest.fixture
def api(database: str) -> Api:
    return new_api(totp=True)


def _intent(api: Api) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get()


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


def _never_received(api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Intent:
    """An attempt that we gave up, while the provider holds the payer's money for it."""
    made = api.pay(amount=AMOUNT, capture_method="manual").json()["data"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        payment_id = ids.decode("pay", made["id"])
        intent = Intent.objects.get(document_id=payment_id)
        Intent.objects.filter(pk=intent.pk).update(state="VALIDATED", step="authorize", checks=2)
    with monkeypatch.context() as patched:
        missing = ProviderAnswer(status=Status.UNKNOWN, found=False)
        patched.setattr(SandboxAdapter, "get_payment_status", lambda *_, **__: missing)
        intent_check(intent_id=intent.id)
    return _intent(api)


def _codes(intent: Intent) -> list[str]:
    return [each["code"] for each in intent.exceptions]


@pytest.mark.usefixtures("own_database")
def test_a_hold_found_after_we_gave_up_is_shown_and_released(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = _never_received(api, admin_dsn, monkeypatch)
    assert (intent.state, intent.failure_code) == ("FAILED", "provider_never_received")
    before = books(admin_dsn, api.tenants.merchant.id)

    _hear(intent, status=Status.SUCCEEDED)

    intent = _intent(api)
    assert (intent.state, intent.failure_code) == ("FAILED", "authorized_after_end")
    assert intent.exception_at is not None
    assert recovery.due_intents() == [intent.id]
    intent_check(intent_id=intent.id)

    intent = _intent(api)
    assert (intent.state, intent.step, intent.next_check_at) == ("FAILED", "", None)
    assert _codes(intent) == ["authorized_after_end"]
    assert _bank_state(admin_dsn, intent) == "canceled"
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_a_hold_that_the_provider_will_not_release_is_asked_for_again(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = _never_received(api, admin_dsn, monkeypatch)
    _hear(intent, status=Status.SUCCEEDED)
    keys: list[str] = []

    def refuses(adapter: SandboxAdapter, request: CancelPayment) -> ProviderAnswer:
        keys.append(request.idempotency_key)
        raise ProviderError("Not now.", permanent=True, code="payment_unexpected_state")

    with monkeypatch.context() as patched:
        patched.setattr(SandboxAdapter, "cancel_payment", refuses)
        for _ in range(2):
            intent_check(intent_id=intent.id)

    intent = _intent(api)
    assert intent.step == "void"
    assert intent.next_check_at is not None
    assert len(keys) == 2
    intent_check(intent_id=intent.id)
    assert _bank_state(admin_dsn, intent) == "canceled"


def test_later_contradictions_are_kept_beside_the_first(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = _never_received(api, admin_dsn, monkeypatch)
    _hear(intent, status=Status.SUCCEEDED)
    since = _intent(api).exception_at

    for _ in range(2):
        _hear(intent, status=Status.SUCCEEDED, amount_captured_minor=AMOUNT)

    intent = _intent(api)
    assert _codes(intent) == ["authorized_after_end", "captured_after_end"]
    assert (intent.failure_code, intent.exception_at) == ("captured_after_end", since)
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        records = AuditRecord.objects.filter(action="intent.exception", target=intent.public_id)
        recorded = list(records.order_by("id").values_list("after__code", flat=True))
    assert recorded == _codes(intent)


def test_staff_takes_an_attempt_out_with_a_note_and_the_same_news_do_not_bring_it_back(
    api: Api,
) -> None:
    api.pay(DECLINED, amount=AMOUNT)
    intent = _intent(api)
    _hear(intent, status=Status.SUCCEEDED, amount_captured_minor=AMOUNT)
    client = browser_for(api.tenants, "platform", "finance")
    address = reverse("admin:intents_intent_resolve", args=[intent.id])
    assert b'name="note"' in client.get(address).content

    empty = client.post(address, {"note": "  "})
    assert empty.status_code == 422
    assert b"This field is required" in empty.content
    assert _intent(api).exception_at is not None
    done = client.post(address, {"note": "Refunded by hand at the provider, re_1."})

    intent = _intent(api)
    assert intent.exception_at is None
    assert _codes(intent) == ["captured_after_end", "resolved"]
    assert intent.exceptions[-1]["message"] == "Refunded by hand at the provider, re_1."
    assert intent.exceptions[-1]["by"] == api.tenants.users["platform.finance"].email
    said = [str(message) for message in get_messages(done.wsgi_request)]
    assert said[-1] == "Resolved: it is out of the exceptions inbox."
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        (record,) = AuditRecord.objects.filter(action="intent.exception_resolved")
    assert (record.actor_kind, record.target) == ("user", intent.public_id)

    _hear(intent, status=Status.SUCCEEDED, amount_captured_minor=AMOUNT)
    assert _intent(api).exception_at is None
    again = client.post(address, {"note": "Again."})
    assert again.status_code == 422
    assert b"Again." in again.content
    assert len(_intent(api).exceptions) == 2


def test_who_may_only_look_cannot_resolve(api: Api) -> None:
    api.pay(DECLINED, amount=AMOUNT)
    intent = _intent(api)
    _hear(intent, status=Status.SUCCEEDED, amount_captured_minor=AMOUNT)
    address = reverse("admin:intents_intent_resolve", args=[intent.id])

    assert browser_for(api.tenants, "platform", "compliance").post(address).status_code == 403
    assert _intent(api).exception_at is not None


def test_asking_about_an_attempt_that_is_over_says_so_and_finds_contradictions(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = _never_received(api, admin_dsn, monkeypatch)
    asked: list[Any] = []
    monkeypatch.setattr("payments.intents.admin.request_check", asked.append)
    client = browser_for(api.tenants, "platform", "finance")
    done = client.post(reverse("admin:intents_intent_ask_provider", args=[intent.id]))
    assert asked == [intent.id]
    assert "The attempt is FAILED and stays so" in str(*get_messages(done.wsgi_request))

    intent_check(intent_id=intent.id)

    assert _codes(_intent(api)) == ["authorized_after_end"]
    assert charges(admin_dsn, api.tenants.merchant.id) == [(0, 0)]


def _bank_state(admin_dsn: str, intent: Intent) -> str:
    with psycopg.connect(admin_dsn) as admin:
        (row,) = admin.execute(
            "select state from providers_sandboxcharge where reference = %s", [intent.public_id]
        ).fetchall()
    return str(row[0])
