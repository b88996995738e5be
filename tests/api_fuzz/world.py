"""The tenants that the fuzzer plays with: real credentials for each part, real ids to aim at."""

from __future__ import annotations

import io
import itertools
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from core.hmac_auth import sign_headers
from tenants.models import Level
from tenants.tokens import TokenSubject, issue_access
from tests.api import Api
from tests.factories import make_tenants

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class World:
    """One merchant with something of everything, and a caller for each tag of the API."""

    def __init__(self) -> None:
        self.tenants = make_tenants(service_caller=True)
        self.api = Api(self.tenants)
        self._turn = itertools.count()
        self.ids = self._objects()

    def _objects(self) -> dict[str, str]:
        api = self.api
        payment = api.pay(amount=900_000, capture_method="manual").json()["data"]
        paid = api.pay(amount=50_000).json()["data"]
        customer = api.post("/v1/customers", {"email": "ada@example.com"}).json()["data"]
        method = api.post(
            "/v1/payment_methods", {"customer": customer["id"], "token": api.token()}
        ).json()["data"]
        refund = api.post("/v1/refunds", {"payment": paid["id"], "amount": 100}).json()["data"]
        key = api.post("/v1/api_keys", {"name": "Spare"}, secret=self.person("owner")).json()
        return {
            "payment_id": payment["id"],
            "refund_id": refund["id"],
            "customer_id": customer["id"],
            "payment_method_id": method["id"],
            "key_id": key["data"]["id"],
            "member_id": self.tenants.memberships["merchant.viewer"].public_id,
            "merchant_id": self.tenants.merchant.public_id,
        }

    def person(self, role: str, level: str = "merchant") -> str:
        """A fresh access token of somebody of the account."""
        user = self.tenants.users[f"{level}.{role}"]
        token, _ = issue_access(
            TokenSubject(
                kind="user",
                subject_id=user.id,
                label=user.email,
                level=Level(level),
                role=role,
                reseller_id=self.tenants.reseller.id,
                merchant_id=self.tenants.merchant.id if level == "merchant" else None,
                livemode=False,
                second_factor=True,
            )
        )
        return token

    def credential(self, tag: str) -> dict[str, str]:
        """The header that gets furthest in this part of the API; intents are signed by `signed`."""
        if tag == "Intents":
            return {}
        if tag in ("API keys", "Team"):
            return {"Authorization": f"Bearer {self.person('owner')}"}
        if tag == "Merchants":
            return {"Authorization": f"Bearer {self.person('owner', 'reseller')}"}
        kind = "pk" if tag == "Tokens" else "sk"
        return {"Authorization": f"Bearer {self.tenants.keys[kind, False]}"}

    def aim(self, case: Any) -> None:
        """Point every other case at an object that exists, with a key that is fresh."""
        if next(self._turn) % 2:
            return
        for name in case.path_parameters or {}:
            if name in self.ids:
                case.path_parameters[name] = self.ids[name]
        if "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = secrets.token_hex(16)

    def signed(self, app: WsgiApp) -> WsgiApp:
        """The application behind a client that signs what it sends to `/v1/intents`."""

        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"].startswith("/v1/intents"):
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(body)
                environ.update(self._signature(environ, body))
            return app(environ, start_response)

        return call

    def _signature(self, environ: dict[str, Any], body: bytes) -> dict[str, str]:
        from django.core.handlers.wsgi import WSGIRequest

        request = WSGIRequest({**environ})  # it rewrites what it is given
        query = environ.get("QUERY_STRING", "")
        headers = sign_headers(
            key_id=self.tenants.service_key_id,
            secret=self.tenants.service_secret.encode(),
            method=environ["REQUEST_METHOD"],
            url=f"http://{request.get_host()}{request.path}" + (f"?{query}" if query else ""),
            body=body,
            content_type=environ.get("CONTENT_TYPE", ""),
            idempotency_key=environ.get("HTTP_IDEMPOTENCY_KEY", ""),
        )
        names = (name for name in headers if name.startswith("X-Merchantry"))
        return {"HTTP_" + name.upper().replace("-", "_"): headers[name] for name in names}
