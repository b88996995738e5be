"""The API as an integrator calls it: Django's test client through every middleware."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from django.test import Client

from tests.factories import Tenants, make_tenants

CARD_OK = "4242424242424242"


@dataclass
class Api:
    """A client with one merchant's keys. Answers are (status, parsed body)."""

    tenants: Tenants
    livemode: bool = False

    def __post_init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "fresh",
        secret: str = "",
        raw: bytes | None = None,
        **headers: str,
    ) -> Any:
        sent = {"Authorization": f"Bearer {secret or self.tenants.keys['sk', self.livemode]}"}
        if key and method == "POST":
            sent["Idempotency-Key"] = secrets.token_hex(16) if key == "fresh" else key
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        payload = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        return self.client.generic(
            method, path, payload, content_type="application/json", headers=sent
        )

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Any:
        return self.call("POST", path, {} if body is None else body, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.call("GET", path, **kwargs)

    def token(self, number: str = CARD_OK) -> str:
        answer = self.post(
            "/v1/tokens",
            {"card": {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}},
            secret=self.tenants.keys["pk", self.livemode],
        )
        assert answer.status_code == 201, answer.content
        return str(answer.json()["data"]["id"])

    def pay(self, number: str = CARD_OK, *, amount: int = 10_000, **fields: Any) -> Any:
        """Create, confirm and (unless told otherwise) capture one payment."""
        options = {name: fields.pop(name) for name in ("key",) if name in fields}
        body = {
            "amount": amount,
            "currency": "EUR",
            "payment_method_token": fields.pop("token", None) or self.token(number),
            "confirm": True,
            **fields,
        }
        return self.post("/v1/payments", body, **options)


def new_api(**kwargs: Any) -> Api:
    """A client of fresh tenants."""
    return Api(make_tenants(**kwargs))
