"""A payer at the hosted page, as the page's script would speak for them: cookies, CSRF, JSON."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

from core import ids
from core.db import tenant_atomic
from payments.acceptance.models import Payment
from payments.checkout.models import CheckoutSession
from tests.api import CARD_OK, Api


def new_session(api: Api, **fields: Any) -> dict[str, Any]:
    """A session made over the API: €48.90 unless told otherwise."""
    answer = api.post("/v1/checkout/sessions", {"amount": 4890, "currency": "EUR", **fields})
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


@dataclass
class Payer:
    """One tab: a browser of its own with the page open."""

    url: str
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))

    def __post_init__(self) -> None:
        self.path = urlsplit(self.url).path
        self.page = self.client.get(self.path)
        context = self.page.context
        self.csrf = str(context["csrf_token"]) if context and "csrf_token" in context else ""

    @property
    def state(self) -> str:
        """What a freshly loaded page shows."""
        return str(self.client.get(self.path).context["state"])

    def post(self, what: str, body: Any, **headers: str) -> Any:
        sent = {"X-CSRFToken": self.csrf}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.client.post(
            f"{self.path}/{what}", json.dumps(body), content_type="application/json", headers=sent
        )

    def tokenise(self, number: str = CARD_OK, *, cvc: str = "123") -> Any:
        card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": cvc}
        return self.post("tokens", {"card": card})

    def token(self, number: str = CARD_OK) -> str:
        answer = self.tokenise(number)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["data"]["id"])

    def pay(self, number: str = CARD_OK, *, token: str = "", key: str = "", **body: Any) -> Any:
        return self.post(
            "payment",
            {"payment_method_token": token or self.token(number), **body},
            Idempotency_Key=key or secrets.token_hex(16),
        )

    def paid(self, number: str = CARD_OK, **kwargs: Any) -> dict[str, Any]:
        """The state after paying."""
        answer = self.pay(number, **kwargs)
        assert answer.status_code == 200, answer.content
        data: dict[str, Any] = answer.json()["data"]
        return data

    def status(self) -> dict[str, Any]:
        answer = self.client.get(f"{self.path}/status")
        assert answer.status_code == 200, answer.content
        data: dict[str, Any] = answer.json()["data"]
        return data

    def cancel(self) -> dict[str, Any]:
        answer = self.post("cancel", {})
        assert answer.status_code == 200, answer.content
        data: dict[str, Any] = answer.json()["data"]
        return data

    def answer_challenge(self, url: str, answer: str) -> Any:
        """Press a button of the sandbox bank's page, in a frame of this tab."""
        path = urlsplit(url).path
        token = self.client.get(path).context["csrf_token"]
        return self.client.post(path, {"answer": answer, "csrfmiddlewaretoken": str(token)})


def session_row(api: Api, session_id: str) -> CheckoutSession:
    with tenant_atomic(api.tenants.scope):
        return CheckoutSession.objects.get(pk=ids.decode("cs", session_id))


def change_session(api: Api, session_id: str, **columns: Any) -> None:
    """Bring a session into a condition that only time would bring."""
    with tenant_atomic(api.tenants.scope):
        CheckoutSession.objects.filter(pk=ids.decode("cs", session_id)).update(**columns)


def payments_of(api: Api) -> list[Payment]:
    """Every payment of the merchant, oldest first."""
    with tenant_atomic(api.tenants.scope):
        return list(
            Payment.objects.filter(merchant_id=api.tenants.merchant.id).order_by("created_at", "id")
        )


def payment_row(api: Api, payment_id: uuid.UUID) -> Payment:
    with tenant_atomic(api.tenants.scope):
        return Payment.objects.get(pk=payment_id)
