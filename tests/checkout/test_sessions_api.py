"""`/v1/checkout/sessions`: what it makes, what it refuses, and who may see it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError
from django.utils import timezone

from core import ids, relay
from core.db import Scope, tenant_atomic
from core.errors import Conflict
from core.models import AuditRecord, OutboxEvent
from payments.checkout.models import CheckoutAttempt, CheckoutSession
from payments.checkout.selectors import secret_digest
from payments.checkout.services import expire_due, sessions
from payments.providers.selectors import Account
from tests.api import Api, new_api
from tests.checkout.payer import (
    Payer,
    change_session,
    new_session,
    payments_of,
    session_row,
)

URL = "/v1/checkout/sessions"
CHALLENGED = "4000000000003220"


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def events_of(api: Api, session_id: str) -> list[str]:
    with tenant_atomic(api.tenants.scope):
        return list(
            OutboxEvent.objects.filter(aggregate=session_id)
            .order_by("id")
            .values_list("type", flat=True)
        )


def test_a_session_is_made(api: Api) -> None:
    customer = api.post("/v1/customers", {"email": "ada@example.test"}).json()["data"]["id"]
    made = new_session(
        api,
        currency="eur",
        customer=customer,
        description="Two tickets",
        reference="order-1",
        metadata={"a": "b"},
        success_url="https://shop.example:8443/thanks",
        cancel_url="https://shop.example/basket",
    )
    assert made["id"].startswith("cs_")
    assert (made["status"], made["amount"], made["currency"]) == ("open", 4890, "EUR")
    assert (made["customer"], made["payment"]) == (customer, None)
    secret = made["url"].rsplit("/", 1)[1]
    # 128 random bits in base64url.
    assert len(secret) == 22
    row = session_row(api, made["id"])
    assert bytes(row.secret_digest) == secret_digest(secret)
    assert row.return_origin == "https://shop.example:8443"
    assert round((row.expires_at - row.created_at).total_seconds()) == 24 * 3600

    read = api.get(f"{URL}/{made['id']}").json()["data"]
    assert read["url"] is None
    assert read["payments"] == []
    assert {**read, "url": made["url"]} == {**made, "payments": []}


def test_the_same_key_gives_the_same_session(api: Api) -> None:
    body = {"amount": 100, "currency": "EUR"}
    first = api.post(URL, body, key="same")
    again = api.post(URL, body, key="same")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["data"] == first.json()["data"]
    assert api.post(URL, {**body, "amount": 101}, key="same").status_code == 422
    assert len(api.get(URL).json()["data"]["items"]) == 1


def test_the_answer_that_is_kept_for_repetitions_does_not_give_the_page_away(
    api: Api, admin_dsn: str
) -> None:
    body = {"amount": 100, "currency": "EUR"}
    url = api.post(URL, body, key="same").json()["data"]["url"]

    with psycopg.connect(admin_dsn) as admin:
        ((kept,),) = admin.execute(
            "select body from core_idempotencyrecord where merchant_id = %s",
            [api.tenants.merchant.id],
        ).fetchall()
    assert bytes(kept).startswith(b"sealed:")
    assert url.rsplit("/", 1)[1].encode() not in bytes(kept)
    assert api.post(URL, body, key="same").json()["data"]["url"] == url


def test_no_session_is_made_that_the_page_could_not_take_a_card_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe = Account(id=uuid.uuid4(), provider="stripe", label="Stripe", livemode=False)
    monkeypatch.setattr(sessions, "route", lambda **_: stripe)

    refused = api.post(URL, {"amount": 100, "currency": "EUR"})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "card_fields_unavailable")
    assert "POST /v1/payments" in error["message"]
    assert api.get(URL).json()["data"]["items"] == []


@pytest.mark.usefixtures("own_database")
def test_the_sweep_goes_on_behind_what_it_cannot_expire(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, broken, due = (new_session(api) for _ in range(3))
    Payer(busy["url"]).paid(CHALLENGED)
    now = timezone.now()
    for age, session in ((3, busy), (2, broken), (1, due)):
        change_session(api, session["id"], expires_at=now - timedelta(hours=age))
    genuine = sessions._expire_one

    def refuses(session_id: uuid.UUID, scope: Scope) -> bool:
        if session_id == ids.decode("cs", broken["id"]):
            raise Conflict("Not now.")
        return genuine(session_id, scope)

    monkeypatch.setattr(sessions, "_expire_one", refuses)
    expire_due(batch=1)

    found = [session_row(api, each["id"]).status for each in (busy, broken, due)]
    assert found == ["processing", "open", "expired"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 0}, None),
        ({"amount": -1}, None),
        ({"amount": 48.9}, None),
        ({"amount": "4890"}, None),
        ({"amount": None}, None),
        ({"currency": "XXX"}, "currency_unknown"),
        ({"currency": "USDT"}, "currency_unknown"),
        ({"success_url": "https://shop.example/?c=4242424242424242"}, "card_number_refused"),
        ({"cancel_url": "https://shop.example/4242%204242%204242%204242"}, "card_number_refused"),
        ({"success_url": "javascript:alert(1)"}, "url_invalid"),
        ({"cancel_url": "//shop.example"}, "url_invalid"),
        ({"description": "4242 4242 4242 4242"}, "card_number_refused"),
        ({"metadata": {"card": "4242424242424242"}}, "card_number_refused"),
        ({"expires_at": "2099-01-01"}, "parameter_unknown"),
        ({"capture_method": "later"}, None),
    ],
)
def test_bad_input_makes_nothing(api: Api, change: dict[str, Any], code: str | None) -> None:
    answer = api.post(URL, {"amount": 4890, "currency": "EUR", **change})
    assert answer.status_code == 400, answer.content
    if code:
        assert answer.json()["error"]["code"] == code
    assert api.get(URL).json()["data"]["items"] == []


def test_a_foreign_customer_is_not_found(api: Api) -> None:
    foreign = new_api().post("/v1/customers", {"name": "Ada"}).json()["data"]["id"]
    answer = api.post(URL, {"amount": 1, "currency": "EUR", "customer": foreign})
    assert answer.status_code == 404
    assert api.get(URL).json()["data"]["items"] == []


def test_another_merchant_sees_nothing(api: Api) -> None:
    made, other = new_session(api), new_api()
    assert other.get(f"{URL}/{made['id']}").status_code == 404
    assert other.post(f"{URL}/{made['id']}/expire").status_code == 404
    assert other.get(URL).json()["data"]["items"] == []
    assert session_row(api, made["id"]).status == "open"


def test_the_other_mode_sees_nothing(api: Api) -> None:
    made = new_session(api)
    live = api.tenants.secret_key_live
    assert api.get(f"{URL}/{made['id']}", secret=live).status_code == 404
    assert api.post(f"{URL}/{made['id']}/expire", secret=live).status_code == 404
    assert session_row(api, made["id"]).status == "open"


def test_a_publishable_key_may_not(api: Api) -> None:
    key = api.tenants.publishable_key_test
    refused = api.post(URL, {"amount": 1, "currency": "EUR"}, secret=key)
    assert refused.status_code == 403
    assert refused.json()["error"]["details"] == {"permission": "checkout.write"}
    assert api.get(URL, secret=key).status_code == 403
    assert api.get(URL).json()["data"]["items"] == []


def test_the_list_is_filtered_and_paged(api: Api) -> None:
    made = [new_session(api, reference=f"r{index}")["id"] for index in range(3)]
    change_session(api, made[0], expires_at=timezone.now())
    api.post(f"{URL}/{made[1]}/expire")

    def listed(query: str) -> list[str]:
        items = api.get(f"{URL}?{query}").json()["data"]["items"]
        return [item["id"] for item in items]

    assert listed("") == made[::-1]
    assert listed("status=open") == [made[2]]
    assert listed("status=expired") == [made[1], made[0]]
    assert listed("reference=r2") == [made[2]]
    first = api.get(f"{URL}?limit=2").json()["data"]
    assert first["has_more"] is True
    assert listed(f"limit=2&cursor={first['next_cursor']}") == [made[0]]
    assert api.get(f"{URL}?status=odd").status_code == 400


def test_expiring_is_for_open_sessions(api: Api) -> None:
    made = new_session(api)
    closed = api.post(f"{URL}/{made['id']}/expire", key="close")
    assert closed.status_code == 200
    assert closed.json()["data"]["status"] == "expired"
    assert closed.json()["data"]["canceled_at"]
    assert api.post(f"{URL}/{made['id']}/expire", key="close").json() == closed.json()
    again = api.post(f"{URL}/{made['id']}/expire")
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "checkout_session_state_conflict"
    assert events_of(api, made["id"]) == ["checkout_session.expired"]


def test_a_session_being_paid_cannot_be_expired(api: Api) -> None:
    made = new_session(api)
    Payer(made["url"]).paid(CHALLENGED)
    refused = api.post(f"{URL}/{made['id']}/expire")
    assert refused.status_code == 409
    assert session_row(api, made["id"]).status == "processing"


def test_a_paid_session_is_told_and_recorded(api: Api) -> None:
    made = new_session(api)
    Payer(made["url"]).paid()
    assert events_of(api, made["id"]) == ["checkout_session.completed"]
    with tenant_atomic(api.tenants.scope):
        told = OutboxEvent.objects.get(aggregate=made["id"])
        trail = list(
            AuditRecord.objects.filter(target=made["id"])
            .order_by("id")
            .values_list("action", "actor_kind")
        )
    assert told.payload["payment"] == payments_of(api)[0].public_id
    assert told.payload["url"] is None
    assert trail == [
        ("checkout_session.created", "api_key"),
        ("checkout_session.processing", "payer"),
        ("checkout_session.completed", "payer"),
    ]


def test_the_relay_moves_a_session_whose_payer_has_left(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    payer.paid(CHALLENGED)
    (payment,) = payments_of(api)
    assert api.post(f"/v1/payments/{payment.public_id}/cancel").status_code == 200
    assert session_row(api, made["id"]).status == "processing"
    while relay.relay_once():
        pass
    assert session_row(api, made["id"]).status == "open"
    assert payer.paid()["status"] == "completed"


@pytest.mark.usefixtures("own_database")
def test_the_sweep_expires_what_is_due_and_nothing_else(api: Api) -> None:
    due, later, paid, busy = (new_session(api) for _ in range(4))
    Payer(paid["url"]).paid()
    Payer(busy["url"]).paid(CHALLENGED)
    for session in (due, paid, busy):
        change_session(api, session["id"], expires_at=timezone.now())
    expire_due()
    found = [session_row(api, each["id"]).status for each in (due, later, paid, busy)]
    assert found == ["expired", "open", "complete", "processing"]
    assert events_of(api, due["id"]) == ["checkout_session.expired"]


def test_no_live_session_without_a_live_provider(api: Api) -> None:
    refused = api.post(URL, {"amount": 100, "currency": "EUR"}, secret=api.tenants.secret_key_live)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "no_route"


def test_an_unapproved_merchant_makes_no_live_session(database: str) -> None:
    pending = new_api(status="pending")
    refused = pending.post(
        URL, {"amount": 100, "currency": "EUR"}, secret=pending.tenants.secret_key_live
    )
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "merchant_not_active"


def test_the_database_refuses_a_foreign_payment(api: Api) -> None:
    other = new_api()
    foreign = other.pay().json()["data"]["id"]
    made = new_session(api)
    with pytest.raises(IntegrityError), tenant_atomic(Scope.worker()):
        CheckoutAttempt.objects.create(
            merchant_id=api.tenants.merchant.id,
            reseller_id=api.tenants.reseller.id,
            session_id=ids.decode("cs", made["id"]),
            payment_id=ids.decode("pay", foreign),
            key="k",
        )
    with pytest.raises(IntegrityError), tenant_atomic(Scope.worker()):
        CheckoutSession.objects.filter(pk=ids.decode("cs", made["id"])).update(
            payment_id=ids.decode("pay", foreign)
        )
    assert session_row(api, made["id"]).payment_id is None
