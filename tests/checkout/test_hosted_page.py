"""The payer's page: paying, declines, the bank's challenge, and what it refuses."""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from payments.checkout import selectors
from payments.checkout.services import MAX_ATTEMPTS
from payments.providers.adapters.sandbox import views
from payments.providers.selectors import Account
from tests.api import Api, new_api
from tests.checkout.payer import (
    Payer,
    change_session,
    new_session,
    payments_of,
    session_row,
)

CHALLENGED = "4000000000003220"
CHALLENGED_THEN_DECLINED = "4000008400001629"
DECLINED = "4000000000000002"
WRONG_CVC = "4000000000000127"
SETTLES_LATER = "4000000000000119"


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The challenge page would hand its webhook to a worker; here the page itself asks."""
    monkeypatch.setattr(views, "enqueue", lambda _name: False)


def test_a_payer_pays(api: Api) -> None:
    made = new_session(
        api,
        reference="order-7",
        description="Two tickets",
        success_url="https://shop.example/thanks",
        metadata={"seat": "4F"},
    )
    payer = Payer(made["url"])
    assert payer.page.status_code == 200
    html = payer.page.content.decode()
    for shown in (api.tenants.merchant.name, "€48.90", "Two tickets", "Test mode"):
        assert shown in html
    assert payer.status() == {"status": "open", "attempt": None}

    done = payer.paid(key="submit-1")
    assert done["status"] == "completed"
    assert done["attempt"] == "submit-1"
    assert done["return_url"] == "https://shop.example/thanks"
    assert done["receipt"]["reference"] == "order-7"
    assert done["receipt"]["card"] == "Visa ending in 4242"
    (payment,) = payments_of(api)
    assert (payment.status, payment.amount_minor, payment.currency) == ("completed", 4890, "EUR")
    assert (payment.sales_channel, payment.reference) == ("checkout", "order-7")
    assert payment.metadata == {"seat": "4F"}
    read = api.get(f"/v1/checkout/sessions/{made['id']}").json()["data"]
    assert (read["status"], read["payment"]) == ("complete", payment.public_id)
    assert read["payments"] == [payment.public_id]
    assert payer.state == "completed"


def test_the_page_is_strict(api: Api) -> None:
    page = Payer(new_session(api)["url"]).page
    policy = page.headers["Content-Security-Policy"]
    for directive in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "connect-src 'self';" in policy + ";"
    assert "frame-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    assert "<noscript>" in page.content.decode()


def test_a_decline_can_be_retried_with_another_card(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    declined = payer.paid(DECLINED)
    assert declined["status"] == "failed"
    assert declined["error"]["code"] == "card_declined"
    assert "Nothing was charged" in declined["error"]["message"]
    assert session_row(api, made["id"]).status == "open"
    assert payer.state == "failed"

    assert payer.paid()["status"] == "completed"
    first, second = payments_of(api)
    assert (first.status, second.status) == ("failed", "completed")
    read = api.get(f"/v1/checkout/sessions/{made['id']}").json()["data"]
    assert read["payments"] == [first.public_id, second.public_id]
    assert read["payment"] == second.public_id


def test_a_decline_names_the_field_at_fault(api: Api) -> None:
    declined = Payer(new_session(api)["url"]).paid(WRONG_CVC)
    assert declined["error"]["param"] == "cvc"


def test_two_tabs_that_pay_at_once_make_one_payment(api: Api) -> None:
    made = new_session(api)
    tabs = [Payer(made["url"]) for _ in range(4)]
    tokens = [tab.token() for tab in tabs]
    start = threading.Barrier(len(tabs))
    answers: list[dict[str, Any]] = []

    def submit(tab: Payer, token: str) -> None:
        start.wait()
        answers.append(tab.paid(token=token))
        connections.close_all()

    threads = [
        threading.Thread(target=submit, args=pair) for pair in zip(tabs, tokens, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(tabs)
    assert {answer["status"] for answer in answers} <= {"completed", "processing", "open"}
    (payment,) = payments_of(api)
    assert payment.status == "completed"
    assert tabs[0].status()["status"] == "completed"
    assert api.get("/v1/balance").json()["data"]


def test_the_same_submit_sent_twice_is_one_attempt(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    assert payer.paid(DECLINED, key="one")["status"] == "failed"
    again = payer.paid(key="one")
    assert again["status"] == "failed"
    assert len(payments_of(api)) == 1


def test_a_paid_session_takes_no_second_payment(api: Api) -> None:
    made = new_session(api)
    first, second = Payer(made["url"]), Payer(made["url"])
    token = second.token()
    assert first.paid()["status"] == "completed"
    assert second.paid(token=token)["status"] == "completed"
    assert len(payments_of(api)) == 1
    told = second.tokenise()
    assert (told.status_code, told.json()["data"].get("id")) == (200, None)
    assert told.json()["data"]["status"] == "completed"


def test_a_paid_page_goes_on_without_a_script_too(api: Api) -> None:
    thanks = "https://shop.example/thanks?a=1&b=2"
    onward = '<meta http-equiv="refresh" content="5; url=https://shop.example/thanks?a=1&amp;b=2">'
    payer = Payer(new_session(api, success_url=thanks)["url"])
    assert payer.paid(DECLINED)["status"] == "failed"
    assert onward not in payer.client.get(payer.path).content.decode()
    payer.paid()
    assert f"<noscript>{onward}</noscript>" in payer.client.get(payer.path).content.decode()


def test_the_challenge_is_passed(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    waiting = payer.paid(CHALLENGED)
    assert waiting["status"] == "requires_action"
    url = waiting["next_action"]["url"]
    assert payer.status()["status"] == "requires_action"
    assert payer.state == "requires_action"
    back = payer.answer_challenge(url, "complete")
    assert back.status_code == 302
    assert back.headers["Location"].endswith("/pay/returned")
    assert payer.status()["status"] == "completed"
    (payment,) = payments_of(api)
    assert payment.status == "completed"


@pytest.mark.parametrize(
    ("card", "answer"), [(CHALLENGED, "fail"), (CHALLENGED_THEN_DECLINED, "complete")]
)
def test_the_challenge_fails_and_another_card_pays(api: Api, card: str, answer: str) -> None:
    payer = Payer(new_session(api)["url"])
    payer.answer_challenge(payer.paid(card)["next_action"]["url"], answer)
    failed = payer.status()
    assert failed["status"] == "failed"
    assert "Nothing was charged" in failed["error"]["message"]
    assert payer.paid()["status"] == "completed"
    assert [payment.status for payment in payments_of(api)] == ["failed", "completed"]


def test_the_payer_closes_the_challenge_and_pays_anew(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    payer.paid(CHALLENGED)
    assert payer.cancel()["status"] == "open"
    assert [payment.status for payment in payments_of(api)] == ["canceled"]
    assert payer.paid()["status"] == "completed"


def test_closing_a_challenge_that_was_passed_is_a_success(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    payer.answer_challenge(payer.paid(CHALLENGED)["next_action"]["url"], "complete")
    assert payer.cancel()["status"] == "completed"
    (payment,) = payments_of(api)
    assert payment.status == "completed"


def test_another_tab_joins_the_challenge_instead_of_paying_again(api: Api) -> None:
    made = new_session(api)
    first, second = Payer(made["url"]), Payer(made["url"])
    url = first.paid(CHALLENGED)["next_action"]["url"]
    joined = second.paid()
    assert joined["status"] == "requires_action"
    assert joined["next_action"]["url"] == url
    assert len(payments_of(api)) == 1


def test_a_payment_that_settles_later(api: Api, settings: Any) -> None:
    settings.SANDBOX_SETTLE_AFTER_S = 4
    payer = Payer(new_session(api)["url"])
    assert payer.paid(SETTLES_LATER)["status"] == "processing"
    assert payer.state == "processing"
    assert payer.paid()["status"] == "processing"
    deadline = timezone.now() + timedelta(seconds=60)
    while payer.status()["status"] == "processing":
        assert timezone.now() < deadline
        threading.Event().wait(0.2)
    assert payer.status()["status"] == "completed"
    assert len(payments_of(api)) == 1


def test_manual_capture_is_complete_when_the_money_is_held(api: Api) -> None:
    made = new_session(api, capture_method="manual")
    done = Payer(made["url"]).paid()
    assert done["status"] == "completed"
    (payment,) = payments_of(api)
    assert (payment.status, payment.amount_capturable_minor) == ("processing", 4890)
    assert session_row(api, made["id"]).status == "complete"
    captured = api.post(f"/v1/payments/{payment.public_id}/capture")
    assert captured.json()["data"]["status"] == "completed"


def test_an_expired_session_cannot_be_paid(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    token = payer.token()
    change_session(api, made["id"], expires_at=timezone.now())
    assert payer.paid(token=token)["status"] == "expired"
    told = payer.tokenise()
    assert (told.json()["data"].get("id"), told.json()["data"]["status"]) == (None, "expired")
    assert payer.state == "expired"
    assert payments_of(api) == []


def test_a_session_that_the_merchant_closed_cannot_be_paid(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    token = payer.token()
    assert api.post(f"/v1/checkout/sessions/{made['id']}/expire").status_code == 200
    assert payer.paid(token=token)["status"] == "canceled"
    assert payer.state == "canceled"
    assert payments_of(api) == []


def test_a_challenge_may_outlive_the_session(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    url = payer.paid(CHALLENGED)["next_action"]["url"]
    change_session(api, made["id"], expires_at=timezone.now())
    payer.answer_challenge(url, "complete")
    assert payer.status()["status"] == "completed"


def test_a_wrong_secret_and_a_foreign_one_find_nothing(api: Api) -> None:
    mine, other = new_session(api), new_session(new_api())
    secret = mine["url"].rsplit("/", 1)[1]
    client = Client()
    for path in (
        f"/pay/{other['id']}/{secret}",
        f"/pay/{mine['id']}/{secret[:-1]}",
        f"/pay/{mine['id']}/{'x' * 500}",
        f"/pay/pay_{mine['id'][3:]}/{secret}",
        "/pay/nonsense/nonsense",
    ):
        page = client.get(path)
        assert page.status_code == 404
        assert "does not exist" in page.content.decode()
        for what in ("tokens", "payment", "cancel"):
            assert client.post(f"{path}/{what}", b"{}", "application/json").status_code == 404
        assert client.get(f"{path}/status").status_code == 404
    assert payments_of(api) == []


@pytest.mark.parametrize("extra", [{"amount": 1}, {"currency": "JPY"}, {"session": "cs_1"}])
def test_the_payer_cannot_name_an_amount(api: Api, extra: dict[str, Any]) -> None:
    payer = Payer(new_session(api)["url"])
    refused = payer.pay(**extra)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "parameter_unknown"
    assert payments_of(api) == []


def test_paying_needs_the_pages_csrf_token(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    token = payer.token()
    payer.csrf = ""
    refused = payer.pay(token=token)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "csrf_failed"
    assert payments_of(api) == []


def test_paying_needs_a_key_of_the_submit(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    refused = payer.post("payment", {"payment_method_token": payer.token()})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "idempotency_key_missing"
    assert payments_of(api) == []


def test_a_token_of_another_merchant_is_worthless(api: Api) -> None:
    foreign = Payer(new_session(new_api())["url"]).token()
    payer = Payer(new_session(api)["url"])
    refused = payer.pay(token=foreign)
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "resource_missing"
    assert payer.paid()["status"] == "completed"


def test_only_test_cards_are_taken_and_no_number_is_repeated(api: Api) -> None:
    payer = Payer(new_session(api)["url"])
    refused = payer.tokenise("4111111111111111")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "card.number"
    assert b"4111" not in refused.content
    assert payments_of(api) == []


def test_live_mode_takes_no_card_numbers(api: Api) -> None:
    made = new_session(api)
    change_session(api, made["id"], livemode=True)
    payer = Payer(made["url"])
    html = payer.page.content.decode()
    assert payer.state == "unavailable"
    assert "not available" in html
    assert "data-checkout" not in html
    assert 'id="card-number"' not in html
    refused = payer.tokenise()
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "card_fields_unavailable"
    assert payer.pay(token="tok_x").status_code == 409
    assert payments_of(api) == []


def test_a_session_that_another_provider_takes_shows_no_card_form(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = new_session(api)
    stripe = Account(id=uuid.uuid4(), provider="stripe", label="Stripe", livemode=False)
    monkeypatch.setattr(selectors, "route", lambda **_: stripe)
    payer = Payer(made["url"])
    assert payer.state == "unavailable"
    assert payer.tokenise().status_code == 409
    assert payments_of(api) == []


def test_the_secret_is_in_no_log_line(
    api: Api, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    made = new_session(api)
    secret = made["url"].rsplit("/", 1)[1]
    payer = Payer(made["url"])
    payer.paid("4000000000000002")
    payer.csrf = ""
    payer.pay(token="tok_x")
    Client().get(f"/pay/{new_session(api)['id']}/{secret}")
    written = caplog.text + "".join(capfd.readouterr())
    assert "/pay/cs_" in written
    assert secret not in written
    assert "4000000000000002" not in written


def test_cards_cannot_be_tried_without_end(api: Api) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    for _ in range(MAX_ATTEMPTS):
        assert payer.paid(DECLINED)["status"] == "failed"
    refused = payer.pay(token="tok_whatever")
    assert refused.status_code == 429
    assert len(payments_of(api)) == MAX_ATTEMPTS


def test_calls_are_counted_by_session(api: Api) -> None:
    busy, quiet = Payer(new_session(api)["url"]), Payer(new_session(api)["url"])
    statuses = [busy.post("cancel", {}).status_code for _ in range(25)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert quiet.post("cancel", {}).status_code == 200


def test_the_frame_may_return_to_a_page_of_ours_alone(database: str) -> None:
    page = Client().get("/pay/returned")
    assert page.status_code == 200
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_submit_that_broke_off_is_taken_up_by_the_next(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = new_session(api)
    payer = Payer(made["url"])
    token = payer.token()
    from payments.checkout.services import sessions

    def die(**_: Any) -> None:
        raise SystemError("the process was killed here")

    with monkeypatch.context() as patched:
        patched.setattr(sessions, "payment_confirm", die)
        with pytest.raises(SystemError):
            payer.pay(token=token)
    assert payer.status()["status"] == "open"
    assert payer.paid(token=token)["status"] == "completed"
    (payment,) = payments_of(api)
    assert payment.status == "completed"


def test_the_ways_back_name_the_session_where_the_shop_asks_for_it(api: Api) -> None:
    place = "{CHECKOUT_SESSION_ID}"
    made = new_session(
        api,
        success_url=f"https://shop.example/thanks?session={place}",
        cancel_url=f"https://shop.example/basket/{place}",
    )
    assert made["success_url"].endswith(place)
    payer = Payer(made["url"])
    assert f"https://shop.example/basket/{made['id']}" in payer.page.content.decode()
    done = payer.paid("4242424242424242")
    assert done["return_url"] == f"https://shop.example/thanks?session={made['id']}"


def test_while_a_payment_is_on_its_way_the_page_leads_to_the_shops_door(api: Api) -> None:
    made = new_session(
        api, success_url="https://shop.example/thanks", cancel_url="https://shop.example/basket"
    )
    payer = Payer(made["url"])
    assert payer.paid(SETTLES_LATER)["status"] == "processing"
    html = Client().get(made["url"]).content.decode()
    assert 'href="https://shop.example"' in html
    assert "Encrypted; the shop never sees your card" in html
    assert "Cancel and go back" not in html
