"""The sandbox bank's challenge page."""

from __future__ import annotations

import secrets
import uuid

import pytest
from django.test import Client

from core.ids import encode
from payments.providers.adapters.sandbox import views
from payments.providers.adapters.sandbox.vault import CardInput, tokenize
from payments.providers.base import CreatePayment, ProviderAnswer, Status
from payments.providers.selectors import adapter_for

RETURN_URL = "https://shop.example/return?order=7"


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page asks the worker to do."""
    asked: list[str] = []
    monkeypatch.setattr(views, "enqueue", asked.append)
    return asked


def challenge(account_id: uuid.UUID, return_url: str = RETURN_URL) -> ProviderAnswer:
    card = CardInput(number="4000000000003220", exp_month=12, exp_year=2034, cvc="123")
    mark = secrets.token_hex(8)
    return adapter_for(account_id).create_payment(
        CreatePayment(
            reference=f"int_{mark}",
            idempotency_key=mark,
            amount_minor=123_456,
            currency="USD",
            source=tokenize(card=card, merchant_key=mark).id,
            merchant_key=mark,
            return_url=return_url,
        )
    )


def path_of(answer: ProviderAnswer) -> str:
    return "/" + answer.next_action_url.split("/", 3)[3]


def post(client: Client, path: str, answer: str) -> tuple[int, str, str]:
    token = client.get(path).context["csrf_token"]
    response = client.post(path, {"answer": answer, "csrfmiddlewaretoken": str(token)})
    return response.status_code, response.headers.get("Location", ""), response.content.decode()


def status(account_id: uuid.UUID, answer: ProviderAnswer) -> ProviderAnswer:
    return adapter_for(account_id).get_payment_status(
        reference=answer.reference, provider_id=answer.provider_id
    )


def test_the_page_shows_what_is_confirmed_and_may_be_framed_by_us_alone(
    client: Client, sandbox_account: uuid.UUID
) -> None:
    response = client.get(path_of(challenge(sandbox_account)))
    assert response.status_code == 200
    assert "$1,234.56" in response.content.decode()
    assert "Visa ending in 3220" in response.content.decode()
    policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy
    assert "form-action 'self' https://shop.example" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("button", "ends"), [("complete", Status.SUCCEEDED), ("fail", Status.FAILED)]
)
def test_a_button_ends_the_challenge_and_sends_the_payer_back(
    client: Client, sandbox_account: uuid.UUID, no_broker: list[str], button: str, ends: Status
) -> None:
    answer = challenge(sandbox_account)
    assert post(client, path_of(answer), button)[:2] == (302, RETURN_URL)
    assert status(sandbox_account, answer).status is ends
    assert no_broker == ["providers.deliver_sandbox_events"]


def test_an_answered_page_offers_no_second_answer(
    client: Client, sandbox_account: uuid.UUID
) -> None:
    answer = challenge(sandbox_account)
    post(client, path_of(answer), "fail")
    page = client.get(path_of(answer)).content.decode()
    assert "has been answered" in page
    assert "<form" not in page


def test_a_post_without_the_token_changes_nothing(
    client: Client, sandbox_account: uuid.UUID, no_broker: list[str]
) -> None:
    answer = challenge(sandbox_account)
    assert client.post(path_of(answer), {"answer": "complete"}).status_code == 403
    assert status(sandbox_account, answer).status is Status.REQUIRES_ACTION
    assert no_broker == []


def test_another_answer_changes_nothing(client: Client, sandbox_account: uuid.UUID) -> None:
    answer = challenge(sandbox_account)
    code, _, page = post(client, path_of(answer), "maybe")
    assert code == 400
    assert "<form" in page
    assert status(sandbox_account, answer).status is Status.REQUIRES_ACTION


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil",
        "https://a;script-src *",
        "https://user:secret@shop.example/",
        "https://[::1",
    ],
)
def test_only_web_addresses_are_returned_to(
    client: Client, sandbox_account: uuid.UUID, address: str
) -> None:
    answer = challenge(sandbox_account, return_url=address)
    assert "script-src" not in client.get(path_of(answer)).headers["Content-Security-Policy"]
    code, location, page = post(client, path_of(answer), "complete")
    assert (code, location) == (200, "")
    assert "You can close this page" in page
    if address:
        assert address not in page


def test_an_unknown_challenge_is_not_found(client: Client) -> None:
    assert client.get(f"/sandbox/3ds/{uuid.uuid4()}").status_code == 404
    assert client.get(f"/sandbox/3ds/{encode('sbpay', uuid.uuid4())}").status_code == 404
