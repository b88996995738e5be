"""A merchant's payments over Stripe from the API to the ledger, with Stripe's own events."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.test import Client

from core import ids, inbox, relay
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.models import InboxMessage
from payments.acceptance.models import Refund
from payments.acceptance.services import release_due
from payments.intents.models import Intent
from payments.intents.services import intent_apply, steps
from payments.providers.adapters.stripe.adapter import StripeAdapter
from payments.providers.services import account_create, rule_create
from tests.api import Api, new_api
from tests.payments.support import books, later, recover
from tests.providers.rigs import SECRET, StripeRig

pytestmark = pytest.mark.xdist_group("localstripe")
STAFF = Actor(kind="user", id="usr_staff", label="staff", platform=True)


@dataclass
class Shop:
    """A merchant whose payments go to Stripe."""

    api: Api
    rig: StripeRig
    account_id: uuid.UUID

    @property
    def merchant_id(self) -> uuid.UUID:
        return self.api.tenants.merchant.id

    def pay(self, behaviour: str = "succeeds", **fields: Any) -> Any:
        return self.api.pay(token=self.rig.source(behaviour), amount=1_000, **fields)

    def payment(self, payment_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/v1/payments/{payment_id}").json()["data"]
        return found

    def intent(self, payment_id: str) -> Intent:
        with tenant_atomic(Scope.merchant(self.merchant_id)):
            return Intent.objects.get(document_id=ids.decode("pay", payment_id))

    def theirs(self, payment_id: str) -> dict[str, Any]:
        """The payment at Stripe, as its events carry it."""
        external_id = self.intent(payment_id).external_id
        found = self.rig.ask("GET", f"/v1/payment_intents/{external_id}")
        if found["latest_charge"]:
            found["latest_charge"] = found["latest_charge"]["id"]
        return found

    def hear(self, type_name: str, data: dict[str, Any]) -> str:
        """Send an event through the door and let it be processed; the message's state."""
        event = {
            "id": "evt_" + secrets.token_hex(12),
            "object": "event",
            "type": type_name,
            "created": int(time.time()),
            "data": {"object": data},
        }
        raw = json.dumps(event).encode()
        answer = Client().post(
            f"/v1/provider_webhooks/stripe/{ids.encode('pra', self.account_id)}",
            data=raw,
            content_type="application/json",
            headers=self.rig.sign(raw, timestamp_s=int(time.time())),
        )
        assert answer.status_code == 200, answer.content
        with tenant_atomic(Scope.worker()):
            message = InboxMessage.objects.get(event_id=event["id"])
        return inbox.process(message.id)

    def refund_at_stripe(self, payment_id: str, amount: int) -> dict[str, Any]:
        """What somebody at Stripe's console does."""
        data = {"payment_intent": self.intent(payment_id).external_id, "amount": amount}
        return self.rig.ask("POST", "/v1/refunds", data=data)


@pytest.fixture
def shop(database: str, localstripe: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(inbox, "_enqueue", lambda message_id: None)
    api = new_api()
    tenants = api.tenants
    account = account_create(
        actor=STAFF,
        provider="stripe",
        label="Stripe",
        livemode=False,
        credentials={"secret_key": "sk_test_shop"},
        webhook_secrets=[SECRET],
        merchant_id=tenants.merchant.id,
        reseller_id=tenants.reseller.id,
        api_base=localstripe,
    )
    rule_create(
        actor=STAFF,
        account_id=account.id,
        merchant_id=tenants.merchant.id,
        reseller_id=tenants.reseller.id,
    )
    with StripeRig(localstripe) as rig:
        yield Shop(api, rig, account.id)


def _made_only(payment: dict[str, Any]) -> dict[str, Any]:
    """The payment as Stripe's created event shows it, whatever becomes of it."""
    return {
        **payment,
        "status": "requires_payment_method",
        "last_payment_error": None,
        "amount_received": 0,
        "latest_charge": None,
        "next_action": None,
    }


def test_a_payment_goes_from_the_api_over_stripe_into_the_books(shop: Shop, admin_dsn: str) -> None:
    made = shop.pay(description="Two tickets", metadata={"seat": "4F"}).json()["data"]
    assert (made["status"], made["card"]["last4"]) == ("completed", "4242")
    before = books(admin_dsn, shop.merchant_id)
    assert before["provider_clearing"] == -1_000

    theirs = shop.theirs(made["id"])
    assert theirs["metadata"] == {"seat": "4F", "reference": shop.intent(made["id"]).public_id}
    for type_name in ("payment_intent.succeeded", "payment_intent.succeeded"):
        assert shop.hear(type_name, theirs) == "processed"

    assert books(admin_dsn, shop.merchant_id) == before
    refund = shop.api.post("/v1/refunds", {"payment": made["id"], "amount": 400})
    assert refund.json()["data"]["status"] == "completed"
    assert books(admin_dsn, shop.merchant_id)["provider_clearing"] == -600


@pytest.mark.parametrize("capture_method", ["automatic", "manual"])
@pytest.mark.parametrize("first", ["event", "answer"])
def test_the_created_event_ends_neither_a_payment_nor_a_hold(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, first: str, capture_method: str
) -> None:

    def hears_first(**arguments: Any) -> Intent:
        if first == "event":
            # The answer of the call is on its way while the event is handled already.
            external_id = arguments["answer"].external_id
            theirs = shop.rig.ask("GET", f"/v1/payment_intents/{external_id}")
            for type_name in ("payment_intent.created", "payment_intent.processing"):
                assert shop.hear(type_name, _made_only(theirs)) == "processed"
        return intent_apply(**arguments)

    with monkeypatch.context() as patched:
        patched.setattr(steps, "intent_apply", hears_first)
        made = shop.pay(capture_method=capture_method).json()["data"]
    if first == "answer":
        for type_name in ("payment_intent.created", "payment_intent.processing"):
            assert shop.hear(type_name, _made_only(shop.theirs(made["id"]))) == "processed"

    read = shop.payment(made["id"])
    held = capture_method == "manual"
    assert (read["status"], read["amount_capturable"]) == (
        ("processing", 1_000) if held else ("completed", 0)
    )


def test_a_decline_is_one_whichever_way_it_is_heard(shop: Shop, admin_dsn: str) -> None:
    answer = shop.pay("declined")
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")
    failed = answer.json()["error"]["details"]["payment"]["id"]

    assert shop.hear("payment_intent.payment_failed", shop.theirs(failed)) == "processed"

    assert shop.payment(failed)["status"] == "failed"
    found = books(admin_dsn, shop.merchant_id)
    assert {name: value for name, value in found.items() if value} == {}


def test_a_lost_answer_is_told_by_the_webhook(shop: Shop, admin_dsn: str) -> None:
    token = shop.rig.source("succeeds")
    shop.rig.fault("lose_answer")
    made = shop.api.pay(token=token, amount=1_000).json()["data"]
    assert made["status"] == "processing"
    query = {"query": f"metadata['reference']:'{shop.intent(made['id']).public_id}'"}
    (theirs,) = shop.rig.ask("GET", "/v1/payment_intents/search", params=query)["data"]

    assert shop.hear("payment_intent.succeeded", theirs) == "processed"

    assert shop.payment(made["id"])["status"] == "completed"
    assert books(admin_dsn, shop.merchant_id)["provider_clearing"] == -1_000


def test_a_challenge_without_a_return_url_leads_to_a_page_and_ends_in_a_charge(
    shop: Shop, admin_dsn: str
) -> None:
    made = shop.pay("challenge").json()["data"]
    assert made["status"] == "requires_action"
    assert made["next_action"]["url"].startswith("https://hooks.stripe.com/")
    theirs = shop.theirs(made["id"])
    assert theirs["next_action"]["redirect_to_url"]["return_url"].endswith("/pay/returned")
    path = f"/v1/payment_intents/{theirs['id']}/_authenticate"
    shop.rig.ask("POST", path, data={"client_secret": theirs["client_secret"], "success": "true"})

    assert shop.hear("payment_intent.succeeded", shop.theirs(made["id"])) == "processed"

    assert shop.payment(made["id"])["status"] == "completed"


@pytest.mark.usefixtures("own_database")
def test_a_refund_made_at_stripe_is_booked_once(shop: Shop, admin_dsn: str) -> None:
    made = shop.pay().json()["data"]
    theirs = shop.refund_at_stripe(made["id"], 300)

    for type_name in ("refund.created", "charge.refund.updated", "refund.updated"):
        assert shop.hear(type_name, theirs) == "processed"

    assert shop.payment(made["id"])["amount_refunded"] == 300
    (refund,) = shop.api.get(f"/v1/refunds?payment={made['id']}").json()["data"]["items"]
    assert (refund["amount"], refund["status"]) == (300, "completed")
    assert refund["reason"] == "refunded at the provider"
    found = books(admin_dsn, shop.merchant_id)
    assert (found["provider_clearing"], found["pending"], found["sum"]) == (-700, 0, 0)
    _two_days_later(admin_dsn, shop)
    release_due()
    assert books(admin_dsn, shop.merchant_id)["merchant_available"] == 700 - made["fee"]


def test_a_refund_made_at_stripe_that_is_on_its_way_lands_later(shop: Shop, admin_dsn: str) -> None:
    made = shop.pay().json()["data"]
    theirs = shop.refund_at_stripe(made["id"], 300)

    assert shop.hear("refund.created", {**theirs, "status": "pending"}) == "processed"
    (refund,) = shop.api.get(f"/v1/refunds?payment={made['id']}").json()["data"]["items"]
    assert refund["status"] == "processing"
    later(admin_dsn, shop.merchant_id)
    recover(admin_dsn, shop.merchant_id)

    (refund,) = shop.api.get(f"/v1/refunds?payment={made['id']}").json()["data"]["items"]
    assert refund["status"] == "completed"
    assert books(admin_dsn, shop.merchant_id)["provider_clearing"] == -700


@pytest.mark.usefixtures("own_database")
def test_a_refund_at_stripe_above_what_is_left_is_shown_and_holds_the_release(
    shop: Shop, admin_dsn: str
) -> None:
    made = shop.pay().json()["data"]
    theirs = shop.refund_at_stripe(made["id"], 600)
    # Ours takes most of the money first.
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update acceptance_payment set amount_refunded_minor = 900 where id = %s",
            [ids.decode("pay", made["id"])],
        )
    before = books(admin_dsn, shop.merchant_id)

    for type_name in ("refund.created", "refund.updated"):
        assert shop.hear(type_name, theirs) == "processed"

    intent = shop.intent(made["id"])
    (reason,) = intent.exceptions
    assert intent.exception_at is not None
    assert reason["code"] == "refunded_at_provider"
    assert theirs["id"] in reason["message"]
    with tenant_atomic(Scope.merchant(shop.merchant_id)):
        assert not Refund.objects.exists()
    _two_days_later(admin_dsn, shop)
    release_due()
    assert books(admin_dsn, shop.merchant_id) == before


@pytest.mark.usefixtures("own_database")
def test_what_came_before_we_knew_the_providers_id_is_woken_when_we_learn_it(
    shop: Shop, admin_dsn: str
) -> None:
    token = shop.rig.source("succeeds")
    shop.rig.fault("lose_answer")
    made = shop.api.pay(token=token, amount=1_000).json()["data"]
    intent = shop.intent(made["id"])
    query = {"query": f"metadata['reference']:'{intent.public_id}'"}
    (theirs,) = shop.rig.ask("GET", "/v1/payment_intents/search", params=query)["data"]
    dispute = {
        "id": "dp_" + secrets.token_hex(8),
        "object": "dispute",
        "amount": 1_000,
        "currency": "eur",
        "payment_intent": theirs["id"],
        "reason": "fraudulent",
        "status": "needs_response",
    }
    assert shop.hear("charge.dispute.created", dispute) == "parked"

    recover(admin_dsn, shop.merchant_id)
    while relay.relay_once():
        pass

    with tenant_atomic(Scope.worker()):
        (parked,) = InboxMessage.objects.filter(reference=theirs["id"], state="parked")
        assert inbox.sweep() == [parked.id]
    assert inbox.process(parked.id) == "processed"
    assert shop.payment(made["id"])["amount_disputed"] == 1_000


def test_a_refund_of_a_payment_that_we_do_not_know_is_left_for_later(shop: Shop) -> None:
    made = shop.pay().json()["data"]
    theirs = shop.refund_at_stripe(made["id"], 300)

    state = shop.hear("refund.created", {**theirs, "payment_intent": "pi_unknown"})

    assert state == "parked"
    assert shop.payment(made["id"])["amount_refunded"] == 0


def test_a_key_that_stripe_does_not_accept_is_not_the_cards_fault(shop: Shop) -> None:
    token = shop.rig.source("succeeds")
    shop.rig.fault("bad_key")

    answer = shop.api.pay(token=token, amount=1_000)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (402, "api_error")
    assert error["code"] == "provider_unavailable"
    assert "key" not in error["message"]
    payment = error["details"]["payment"]
    assert (payment["status"], payment["failure"]["code"]) == ("failed", "provider_unavailable")
    shown = shop.api.get(f"/v1/payments/{payment['id']}?expand=attempts,events")
    assert b"provider_credentials" not in shown.content
    assert b"accept this account" not in shown.content
    # Staff reads what really happened.
    intent = shop.intent(payment["id"])
    assert intent.failure_code == "provider_credentials"
    assert "renew it" in intent.failure_message


@pytest.mark.parametrize("step", ["capture", "cancel"])
def test_a_step_that_stripe_refuses_for_our_key_is_not_the_callers_fault(
    shop: Shop, step: str
) -> None:
    made = shop.pay(capture_method="manual").json()["data"]
    shop.rig.fault("bad_key")

    answer = shop.api.post(f"/v1/payments/{made['id']}/{step}")

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (409, "api_error")
    assert error["code"] == "provider_unavailable"
    assert shop.payment(made["id"])["amount_capturable"] == 1_000
    assert shop.api.post(f"/v1/payments/{made['id']}/{step}").status_code == 200


def test_a_refunds_reason_is_passed_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    genuine = StripeAdapter.refund_payment

    def listening(adapter: StripeAdapter, request: Any) -> Any:
        told.append(request.reason)
        return genuine(adapter, request)

    monkeypatch.setattr(StripeAdapter, "refund_payment", listening)
    made = shop.pay().json()["data"]
    shop.api.post("/v1/refunds", {"payment": made["id"], "reason": "fraudulent"})
    assert told == ["fraudulent"]


def _two_days_later(admin_dsn: str, shop: Shop) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "update acceptance_payment set available_at = now() where merchant_id = %s",
            [shop.merchant_id],
        )
