"""The tenants that the fuzzer plays with: real credentials for each part, real ids to aim at."""

from __future__ import annotations

import io
import itertools
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

from core.hmac_auth import sign_headers
from tests.api import Api
from tests.factories import make_tenants

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: Operations after which their object is not what it was.
_ENDS: Final = frozenset(
    {
        "api_keys_revoke",
        "api_keys_rotate",
        "checkout_sessions_expire",
        "customers_delete",
        "invitations_revoke",
        "payment_methods_detach",
        "webhook_endpoints_delete",
    }
)
#: Parameters of bodies and queries that name an object.
_NAMED: Final = {
    "customer": "customer_id",
    "endpoint": "endpoint_id",
    "event": "event_id",
    "merchant": "merchant_id",
    "object": "payment_id",
    "payment": "payment_id",
}


class World:
    """One merchant with something of everything, and a caller for each tag of the API."""

    def __init__(self) -> None:
        self.tenants = make_tenants(service_caller=True, totp=True)
        self.api = Api(self.tenants)
        self._turn = itertools.count()
        self._fresh = self._makers()
        self.ids = self._objects()

    def _objects(self) -> dict[str, str]:
        paid = self._made(self.api.pay(amount=50_000))
        expanded = self._read(f"/v1/payments/{paid}?expand=attempts")
        event = self._read("/v1/events?limit=1")["items"][0]["id"]
        return {
            **{name: make() for name, make in self._fresh.items()},
            "payment_id": self._made(self.api.pay(amount=900_000, capture_method="manual")),
            "refund_id": self._made(self.api.post("/v1/refunds", {"payment": paid, "amount": 100})),
            "member_id": self.tenants.memberships["merchant.viewer"].public_id,
            "merchant_id": self.tenants.merchant.public_id,
            "intent_id": expanded["attempts"][0]["id"],
            "account_id": self._read("/v1/ledger/accounts")["items"][0]["id"],
            "transfer_id": self._read("/v1/ledger/transfers")["items"][0]["id"],
            "event_id": event,
            "delivery_id": self._delivery(event),
        }

    def _makers(self) -> dict[str, Callable[[], str]]:
        """What an operation may end: made anew for each such call, or it would find it ended."""
        return {
            "customer_id": self._customer,
            "payment_method_id": lambda: self._made(
                self.api.post(
                    "/v1/payment_methods",
                    {"customer": self._customer(), "token": self.api.token()},
                )
            ),
            "endpoint_id": self._endpoint,
            "session_id": lambda: self._made(
                self.api.post("/v1/checkout/sessions", {"amount": 4890, "currency": "EUR"})
            ),
            "key_id": lambda: self._made(
                self.api.post("/v1/api_keys", {"name": "Spare"}, secret=self.person("owner"))
            ),
            "invitation_id": lambda: self._made(
                self.api.post(
                    "/v1/team/invitations",
                    {"email": f"{secrets.token_hex(6)}@example.com", "role": "viewer"},
                    secret=self.person("owner"),
                )
            ),
        }

    def _customer(self) -> str:
        return self._made(self.api.post("/v1/customers", {"email": "ada@example.com"}))

    def _endpoint(self) -> str:
        wish = {"url": "https://93.184.216.34/", "events": ["*"]}
        answer = self.api.post("/v1/webhook_endpoints", wish)
        if answer.status_code == 409:  # the fuzzer has made as many as there may be
            for row in self._read("/v1/webhook_endpoints")["items"]:
                if row["id"] != self.ids["endpoint_id"]:
                    self.api.call("DELETE", f"/v1/webhook_endpoints/{row['id']}")
            answer = self.api.post("/v1/webhook_endpoints", wish)
        return self._made(answer)

    def _delivery(self, event: str) -> str:
        sent = self.api.post(f"/v1/events/{event}/resend", {})
        assert sent.status_code == 202, sent.content
        return str(sent.json()["data"]["deliveries"][0]["id"])

    def _made(self, answer: Any) -> str:
        assert answer.status_code == 201, answer.content
        return str(answer.json()["data"]["id"])

    def _read(self, path: str) -> Any:
        return self.api.get(path).json()["data"]

    def person(self, role: str, level: str = "merchant") -> str:
        """A fresh access token of somebody of the account."""
        return self.tenants.access_token(f"{level}.{role}")

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
        ends = case.operation.definition.raw["operationId"] in _ENDS
        for name in case.path_parameters or {}:
            if ends and name in self._fresh:
                case.path_parameters[name] = self._fresh[name]()
            elif name in self.ids:
                case.path_parameters[name] = self.ids[name]
        for given in (case.body, case.query):
            for name in given if isinstance(given, dict) else ():
                if name in _NAMED:
                    given[name] = self.ids[_NAMED[name]]
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
