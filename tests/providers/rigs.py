"""The providers as the contract suite sees them."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import httpx
import psycopg
import stripe
from psycopg import sql

from payments.providers import signing
from payments.providers.adapters.sandbox import server
from payments.providers.adapters.sandbox.adapter import SandboxAdapter
from payments.providers.adapters.sandbox.cards import TEST_CARDS
from payments.providers.adapters.sandbox.vault import CardInput, tokenize
from payments.providers.adapters.sandbox.wire import ServerRefusedError, ServerTimeoutError
from payments.providers.adapters.stripe.adapter import StripeAdapter
from payments.providers.base import AccountConfig, ProviderAnswer

SECRET = "whsec_contract"


class FaultyServer:
    """The sandbox's server behind a line that can be broken for one call."""

    def __init__(self, real: server.DatabaseServer) -> None:
        self._real = real
        self.fault = ""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._real, name)

        def call(**arguments: Any) -> Any:
            fault, self.fault = self.fault, ""
            if fault == "lose_request":
                raise ServerTimeoutError("lost on the way there")
            if fault == "rate_limit":
                raise ServerRefusedError(code="busy", message="Too many.", retryable=True)
            answer = real(**arguments)
            if fault == "lose_answer":
                raise ServerTimeoutError("lost on the way back")
            if fault == "garble":
                return {"<html>": "Bad gateway"}
            if fault == "wrong_shape":
                return {**answer, "amount": "lots"}
            return answer

        return call


class SandboxRig:
    """The sandbox: its bank is in the test database, seen from outside by its administrator."""

    cards = {
        "succeeds": "4242424242424242",
        "declined": "4000000000000002",
        "challenge": "4000000000003220",
        "challenge_declined": "4000008400001629",
    }

    def __init__(self, admin_dsn: str) -> None:
        self.account_id = uuid.uuid4()
        self.merchant_key = secrets.token_hex(8)
        self._admin_dsn = admin_dsn
        self._server = FaultyServer(
            server.DatabaseServer(self.account_id, base_url="http://127.0.0.1:8000")
        )
        config = AccountConfig(
            account_id=self.account_id,
            provider="sandbox",
            livemode=False,
            webhook_secrets=("whsec_newer", SECRET),
        )
        self.adapter = SandboxAdapter(config, self._server)

    def source(self, behaviour: str) -> str:
        return self.card(self.cards[behaviour])

    def card(self, number: str) -> str:
        """A token for a test card."""
        cvc = "1234"[: TEST_CARDS[number].cvc_digits]
        given = CardInput(number=number, exp_month=12, exp_year=2034, cvc=cvc)
        return tokenize(card=given, merchant_key=self.merchant_key).id

    def token(self) -> str:
        return self.source("succeeds")

    def fault(self, kind: str) -> None:
        self._server.fault = kind

    def charges(self, reference: str) -> int:
        return self.count(
            "select count(*) from providers_sandboxcharge where account_id = %s and reference = %s",
            self.account_id,
            reference,
        )

    def refunds(self, provider_id: str) -> int:
        return self.count(
            "select count(*) from providers_sandboxrefund where charge_id = %s",
            uuid.UUID(hex=provider_id.removeprefix("sbpay_")),
        )

    def count(self, sql: str, *params: object) -> int:
        """What the bank's own staff would see."""
        with psycopg.connect(self._admin_dsn) as conn:
            row = conn.execute(sql, params).fetchone()
        assert row is not None
        return int(row[0])

    def let_pass(self, seconds: int) -> None:
        """Make the bank's record of this account so many seconds older."""
        with psycopg.connect(self._admin_dsn) as conn:
            for table, times in (
                ("sandboxcharge", ("created_at", "captured_at", "settle_at")),
                ("sandboxrefund", ("created_at",)),
                ("sandboxevent", ("due_at",)),
            ):
                for column in times:
                    conn.execute(
                        sql.SQL("update {} set {} = {} - %s where account_id = %s").format(
                            sql.Identifier(f"providers_{table}"),
                            sql.Identifier(column),
                            sql.Identifier(column),
                        ),
                        [timedelta(seconds=seconds), self.account_id],
                    )

    def answer_challenge(self, answer: ProviderAnswer, *, passed: bool) -> None:
        challenge_id = uuid.UUID(answer.next_action_url.rsplit("/", 1)[1])
        assert server.challenge_answer(challenge_id, passed=passed) is not None

    def event(self, answer: ProviderAnswer) -> dict[str, object]:
        return {
            "id": "sbevt_" + secrets.token_hex(16),
            "type": "payment.captured",
            "created": "2026-01-01T00:00:00+00:00",
            "data": dict(answer.raw),
        }

    def sign(self, raw: bytes, *, timestamp_s: int) -> dict[str, str]:
        signature = signing.sign(raw_body=raw, secret=SECRET, timestamp_s=timestamp_s)
        return {"sandbox-signature": signature}


class StripeRig:
    """Stripe: localstripe on loopback, seen from outside through its own API."""

    cards = {
        "succeeds": "4242424242424242",
        "declined": "4000000000000341",
        "challenge": "4000000000003220",
        "challenge_declined": "4000008400001629",
    }
    merchant_key = "unused"

    def __init__(self, base: str) -> None:
        self.base = base
        self._http = httpx.Client(base_url=base, auth=("sk_test_contract", ""))
        config = AccountConfig(
            account_id=uuid.uuid4(),
            provider="stripe",
            livemode=False,
            credentials={"secret_key": "sk_test_contract"},
            webhook_secrets=("whsec_newer", SECRET),
            api_base=base,
            timeout_s=1,
            return_url="https://pay.example/returned",
        )
        self.adapter = StripeAdapter(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def source(self, behaviour: str) -> str:
        card = {"number": self.cards[behaviour], "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        data = {"type": "card"} | {f"card[{key}]": value for key, value in card.items()}
        return str(self.ask("POST", "/v1/payment_methods", data=data)["id"])

    def token(self) -> str:
        return self.source("succeeds")

    def fault(self, kind: str) -> None:
        assert self._http.post(f"/_config/fault/{kind}").status_code == 200

    def charges(self, reference: str) -> int:
        query = {"query": f"metadata['reference']:'{reference}'"}
        return len(self.ask("GET", "/v1/payment_intents/search", params=query)["data"])

    def refunds(self, provider_id: str) -> int:
        query = {"payment_intent": provider_id, "limit": 100}
        return len(self.ask("GET", "/v1/refunds", params=query)["data"])

    def answer_challenge(self, answer: ProviderAnswer, *, passed: bool) -> None:
        path = f"/v1/payment_intents/{answer.provider_id}"
        secret = self.ask("GET", path)["client_secret"]
        data = {"client_secret": secret, "success": "true" if passed else "false"}
        # A decline after the challenge comes back as 402: that is the payer's business.
        assert self._http.post(f"{path}/_authenticate", data=data).status_code in (200, 402)

    def event(self, answer: ProviderAnswer) -> dict[str, object]:
        intent = self.ask("GET", f"/v1/payment_intents/{answer.provider_id}")
        # Events carry ids where answers to us carry whole objects.
        intent["latest_charge"] = intent["latest_charge"]["id"]
        return {
            "id": "evt_" + secrets.token_hex(8),
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1_767_225_600,
            "data": {"object": intent},
        }

    def sign(self, raw: bytes, *, timestamp_s: int) -> dict[str, str]:
        signature = stripe.WebhookSignature.generate_signature_header(
            raw.decode(), SECRET, timestamp_s
        )
        return {"stripe-signature": signature}

    def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """A request of the test's own, past the adapter."""
        response = self._http.request(method, path, **arguments)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = json.loads(response.text)
        return answer
