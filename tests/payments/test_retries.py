"""The same Idempotency-Key again, after everything that may have become of the first request."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

import psycopg
import pytest
from django.db import connection

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.models import AuditRecord, IdempotencyRecord
from core.unit import Writes
from payments.acceptance.models import Payment
from payments.intents import services
from payments.intents.channels import ChannelAnswer, Outcome, channel_named
from payments.intents.channels.gateway import GatewayPayment
from payments.intents.models import Intent, Operation
from payments.intents.services.answers import reload
from payments.providers.selectors import account_get
from tests.api import Api, new_api
from tests.payments.support import books, charges, crash, later, recover
from tests.payments.test_intents_api import _body as intent_body
from tests.payments.test_intents_api import _send as send_signed
from tests.payments.test_races import at_once


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def _intent(api: Api, payment_id: str) -> Intent:
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        return Intent.objects.get(document_id=ids.decode("pay", payment_id))


def test_the_same_values_written_in_another_way_are_the_same_request(api: Api) -> None:
    written = (
        b'{"amount":100,"currency":"USD","metadata":{"a":"1","b":"2"}}',
        b'{ "metadata": {"b":"2", "a":"\\u0031"},\n"currency": "USD", "amount": 100 }',
        b'{"amount":100,"currency":"USD","metadata":{"a":"1","b":"3"}}',
    )
    first, again, other = (
        api.call("POST", "/v1/payments", raw=body, key="once") for body in written
    )

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_saved_method_brings_its_customer_and_is_charged_at_confirmation(
    api: Api, admin_dsn: str
) -> None:
    customer = _customer(api)
    body = {"customer": customer, "token": api.token()}
    method = api.post("/v1/payment_methods", body).json()["data"]["id"]
    fresh = {"amount": 100, "currency": "EUR", "payment_method": method}
    made = api.post("/v1/payments", fresh).json()["data"]
    assert made["customer"] == customer

    done = api.post(f"/v1/payments/{made['id']}/confirm").json()["data"]

    assert (done["status"], done["payment_method"]) == ("completed", method)
    assert charges(admin_dsn, api.tenants.merchant.id) == [(100, 0)]


def test_the_cancellation_of_a_pending_payment_is_answered_again_under_its_key(api: Api) -> None:
    made = api.post("/v1/payments", {"amount": 100, "currency": "EUR"}).json()["data"]["id"]
    answers = [api.post(f"/v1/payments/{made}/cancel", key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["data"]["status"] for answer in answers] == ["canceled"] * 2


@pytest.mark.parametrize("action", ["capture", "cancel"])
def test_a_step_whose_process_died_is_found_by_its_key(
    api: Api, admin_dsn: str, action: str
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    path = f"/v1/payments/{made['id']}/{action}"
    at = "intent.settle.answered" if action == "capture" else "intent.void.answered"
    crash(api, at, "POST", path, "{}", "once")

    retry = api.post(path, key="once")

    assert retry.status_code == 200, retry.content
    assert retry.headers["Idempotent-Replayed"] == "true"
    assert retry.json()["data"]["status"] == {"capture": "completed", "cancel": "canceled"}[action]
    other = api.post(path, {"amount": 1} if action == "capture" else None, key="once-more")
    assert other.status_code == 409


def test_a_full_refund_whose_process_died_is_found_by_its_key(api: Api, admin_dsn: str) -> None:
    payment = api.pay(amount=1_000).json()["data"]
    body = {"payment": payment["id"]}
    crash(api, "intent.authorize.answered", "POST", "/v1/refunds", json.dumps(body), "once")
    later(admin_dsn, api.tenants.merchant.id)
    recover(admin_dsn, api.tenants.merchant.id)

    retry = api.post("/v1/refunds", body, key="once")

    assert retry.status_code == 201, retry.content
    assert (retry.json()["data"]["status"], retry.json()["data"]["amount"]) == ("completed", 1_000)
    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 1_000)]


def test_a_finished_step_is_replayed_and_its_key_does_nothing_else(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    path = f"/v1/payments/{made['id']}/capture"
    first = api.post(path, {"amount": 400}, key="once")
    again = api.post(path, {"amount": 400}, key="once")
    other = api.post(path, {"amount": 500}, key="once")

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 422)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert charges(admin_dsn, api.tenants.merchant.id) == [(400, 0)]


def test_a_decline_is_replayed(api: Api, admin_dsn: str) -> None:
    token = api.token("4000000000000002")
    first = api.pay(token=token, key="once")
    again = api.pay(token=token, key="once")

    assert (first.status_code, again.status_code) == (402, 402)
    assert again.content == first.content
    assert len(charges(admin_dsn, api.tenants.merchant.id)) == 1


@pytest.mark.parametrize(
    "body", [{"amount": 0, "currency": "EUR"}, {"amount": 10, "currency": "EUR", "confirm": True}]
)
def test_a_validation_error_stores_nothing(api: Api, body: dict[str, Any]) -> None:
    assert api.post("/v1/payments", body, key="once").status_code == 400
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        assert not IdempotencyRecord.objects.filter(key="once").exists()
    assert api.get("/v1/payments").json()["data"]["items"] == []
    assert api.pay(key="once").status_code == 201


def test_a_key_of_one_merchant_says_nothing_to_another(api: Api) -> None:
    other = new_api()
    body = {"amount": 100, "currency": "EUR"}
    mine = api.post("/v1/payments", body, key="same").json()["data"]
    theirs = other.post("/v1/payments", body, key="same")
    assert theirs.status_code == 201
    assert theirs.json()["data"]["id"] != mine["id"]


def test_who_asked_for_a_capture_is_recorded_before_the_provider_hears(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay(amount=1_000, capture_method="manual").json()["data"]
    crash(api, "intent.settle.begun", "POST", f"/v1/payments/{made['id']}/capture", "{}", "once")

    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        (record,) = AuditRecord.objects.filter(action="intent.settle_requested")
    assert (record.actor_kind, record.after) == ("api_key", {"amount": 1_000})


def test_a_cancellation_that_the_payer_overtook_is_a_409(
    api: Api, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.pay("4000000000003220", amount=1_000).json()["data"]
    genuine = GatewayPayment.void

    def overtaken(channel: GatewayPayment, intent: Intent) -> ChannelAnswer:
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute(
                "update providers_sandboxcharge set state = 'captured', captured_minor ="
                " amount_minor where reference = %s",
                [intent.public_id],
            )
        services.intent_apply(
            intent=reload(intent),
            answer=ChannelAnswer(
                outcome=Outcome.SUCCEEDED, captured_minor=1_000, external_id=intent.external_id
            ),
            actor=Actor.system("webhook"),
        )
        return genuine(channel, intent)

    monkeypatch.setattr(GatewayPayment, "void", overtaken)
    answer = api.post(f"/v1/payments/{made['id']}/cancel", key="once")

    assert answer.status_code == 409, answer.content
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"
    again = api.post(f"/v1/payments/{made['id']}/cancel", key="once")
    assert (again.status_code, again.content) == (409, answer.content)


def test_an_answer_and_a_webhook_lock_in_the_same_order(api: Api, admin_dsn: str) -> None:
    """Payment first, then intent: the other way round two bringers of an answer would deadlock."""
    made = api.pay("4000000000003220", amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        payment = Payment.objects.get(pk=ids.decode("pay", made["id"]))
    answer = ChannelAnswer(outcome=Outcome.SUCCEEDED, captured_minor=1_000)

    def bring() -> None:
        try:
            services.intent_apply(
                intent=intent, answer=answer, actor=Actor.system("test"), document=payment
            )
        finally:
            connection.close()

    with psycopg.connect(admin_dsn) as admin:
        admin.execute(
            "select 1 from acceptance_payment where id = %s for no key update", [payment.id]
        )
        thread = threading.Thread(target=bring)
        thread.start()
        thread.join(timeout=1.5)
        assert thread.is_alive(), "it should wait for the payment"
        admin.execute(
            "select 1 from intents_intent where id = %s for no key update nowait", [intent.id]
        )
        admin.rollback()
    thread.join()
    assert api.get(f"/v1/payments/{made['id']}").json()["data"]["status"] == "completed"
    assert books(admin_dsn, api.tenants.merchant.id)["provider_clearing"] == -1_000


def test_a_provider_that_captured_more_than_was_asked_is_shown_to_a_person(
    api: Api, admin_dsn: str
) -> None:
    made = api.pay("4000000000003220", amount=1_000).json()["data"]
    intent = _intent(api, made["id"])
    assert intent.provider_account_id is not None
    assert account_get(intent.provider_account_id).livemode is False

    services.intent_apply(
        intent=intent,
        answer=ChannelAnswer(outcome=Outcome.SUCCEEDED, captured_minor=1_001),
        actor=Actor.system("test"),
    )

    intent = _intent(api, made["id"])
    assert (intent.state, intent.settled_amount_minor) == ("SETTLED", 1_000)
    assert intent.failure_code == "captured_too_much"
    assert intent.exception_at is not None


@pytest.mark.parametrize("field", ["payment_method_token"])
def test_a_card_number_in_place_of_a_token_is_refused_and_kept_nowhere(
    api: Api, admin_dsn: str, field: str
) -> None:
    made = api.post("/v1/payments", {"amount": 100, "currency": "EUR"}).json()["data"]
    for path in ("/v1/payments", f"/v1/payments/{made['id']}/confirm"):
        body: dict[str, Any] = {field: "4242 4242 4242 4242"}
        if path == "/v1/payments":
            body |= {"amount": 100, "currency": "EUR", "confirm": True}
        answer = api.post(path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "card_number_refused")
        assert b"4242" not in answer.content
    with psycopg.connect(admin_dsn) as admin:
        kept = admin.execute(
            "select count(*) from acceptance_payment where token like '4242%%'"
            " union all select count(*) from intents_intent where source like '4242%%'"
        ).fetchall()
    assert kept == [(0,), (0,)]


def _customer(api: Api) -> str:
    body = {"email": f"{secrets.token_hex(4)}@shop.example"}
    found: str = api.post("/v1/customers", body).json()["data"]["id"]
    return found


def test_a_method_of_another_customer_cannot_confirm(api: Api, admin_dsn: str) -> None:
    mine, theirs = _customer(api), _customer(api)
    method = api.post("/v1/payment_methods", {"customer": theirs, "token": api.token()}).json()
    fresh = {"amount": 100, "currency": "EUR", "customer": mine}
    made = api.post("/v1/payments", fresh).json()
    saved = {"payment_method": method["data"]["id"]}

    tried = [
        api.post(f"/v1/payments/{made['data']['id']}/confirm", saved),
        api.post("/v1/payments", {**fresh, **saved}),
        api.post("/v1/payments", {**fresh, **saved, "confirm": True}),
    ]

    for answer in tried:
        assert answer.status_code == 400, answer.content
        assert answer.json()["error"]["code"] == "payment_method_of_other_customer"
    assert charges(admin_dsn, api.tenants.merchant.id) == []
    assert api.get(f"/v1/payments/{made['data']['id']}").json()["data"]["status"] == "pending"


def test_one_key_saves_one_method(api: Api) -> None:
    customer = api.post("/v1/customers", {"email": "payer@shop.example"}).json()["data"]["id"]
    body = {"customer": customer, "token": api.token()}

    answers = at_once(
        6, lambda _: Api(api.tenants).post("/v1/payment_methods", body, key="same").json()
    )

    saved = api.get(f"/v1/payment_methods?customer={customer}").json()["data"]["items"]
    assert len(saved) == 1
    assert {answer["data"]["id"] for answer in answers} == {saved[0]["id"]}


def test_a_token_and_a_method_together_are_refused(api: Api, admin_dsn: str) -> None:
    customer = api.post("/v1/customers", {"email": "payer@shop.example"}).json()["data"]["id"]
    method = api.post("/v1/payment_methods", {"customer": customer, "token": api.token()})
    method_id = method.json()["data"]["id"]
    made = api.post("/v1/payments", {"amount": 100, "currency": "EUR"}).json()["data"]

    refused = [
        api.pay(payment_method=method_id),
        api.post(
            f"/v1/payments/{made['id']}/confirm",
            {"payment_method": method_id, "payment_method_token": api.token()},
        ),
    ]

    for answer in refused:
        assert answer.status_code == 400, answer.content
        assert answer.json()["error"]["code"] == "payment_method_ambiguous"
    assert charges(admin_dsn, api.tenants.merchant.id) == []


def test_an_unknown_token_says_where_tokens_come_from(api: Api) -> None:
    error = api.pay(token="tok_nonsense").json()["error"]
    assert error["code"] == "resource_missing"
    assert "POST /v1/tokens" in error["message"]


def test_a_stand_alone_intent_records_how_it_ended(api: Api) -> None:
    actor = api.tenants.key_actor()

    def stand_alone(writes: Writes, intent: Intent) -> None:
        intent.document_id = intent.id
        writes.record(intent, action="intent.submitted", event=None, actor=actor)

    intent = services.intent_submit(
        draft=services.Draft(
            merchant_id=api.tenants.merchant.id,
            reseller_id=api.tenants.reseller.id,
            livemode=False,
            operation=Operation.PAYMENT,
            amount_minor=1_000,
            currency="EUR",
            source=api.token(),
            document_type="unregistered",
        ),
        actor=actor,
        document=stand_alone,
    )

    assert intent.state == "SETTLED"
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        records = AuditRecord.objects.filter(target=intent.public_id).order_by("id")
        actions = [record.action for record in records]
    assert actions == ["intent.submitted", "intent.settled"]


def test_an_answer_to_a_stale_reading_does_not_undo_what_stands(
    database: str, admin_dsn: str
) -> None:
    api = new_api(service_caller=True)
    body = intent_body(api, payment_method_token=api.token("4000000000003220"))
    made = send_signed(api, "POST", "/v1/intents", body).json()["data"]
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        stale = Intent.objects.get(pk=ids.decode("int", made["id"]))
    bringer = Actor.system("test")
    captured = ChannelAnswer(outcome=Outcome.SUCCEEDED, captured_minor=1_000)
    services.intent_apply(intent=reload(stale), answer=captured, actor=bringer)
    before = books(admin_dsn, api.tenants.merchant.id)

    failed = ChannelAnswer(outcome=Outcome.FAILED, failure_code="card_declined")
    services.intent_apply(intent=stale, answer=failed, actor=bringer)

    assert reload(stale).state == "SETTLED"
    assert books(admin_dsn, api.tenants.merchant.id) == before


def test_a_call_that_is_repeated_has_one_effect_at_the_provider(api: Api, admin_dsn: str) -> None:
    """What the poller does when it cannot tell whether the first call arrived."""
    customer = api.post("/v1/customers", {"email": "payer@shop.example"}).json()["data"]["id"]
    body = {"customer": customer, "token": api.token()}
    method = api.post("/v1/payment_methods", body).json()["data"]["id"]
    made = api.post(
        "/v1/payments",
        {"amount": 1_000, "currency": "EUR", "payment_method": method, "confirm": True},
    ).json()["data"]
    api.post("/v1/refunds", {"payment": made["id"], "amount": 300})
    with tenant_atomic(Scope.merchant(api.tenants.merchant.id)):
        payment, refund = Intent.objects.order_by("id")

    for _ in range(2):
        for intent in (payment, refund):
            answer = channel_named(intent.channel).authorize(reload(intent))
            assert answer.outcome is Outcome.SUCCEEDED

    assert charges(admin_dsn, api.tenants.merchant.id) == [(1_000, 300)]
