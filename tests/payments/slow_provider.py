"""A provider on loopback that speaks as Stripe does, and answers when the test lets it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.listening import listening


class SlowProvider:
    """`hold()` keeps every answer back until `let_go()`; `break_down()` makes each a 500.

    An effect is once per idempotency key, and is there as soon as the request has come.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._go.set()
        self._broken = False
        self.url = ""
        self.asked = 0
        self.waiting = 0
        #: By our reference.
        self.payments: dict[str, dict[str, Any]] = {}
        self.keys: list[str] = []
        #: Amounts by idempotency key.
        self.captures: dict[str, int] = {}
        self.limited_keys: list[str] = []
        self._limits: list[str] = []
        self._challenges = False
        self.return_urls: list[str] = []

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def break_down(self) -> None:
        self._broken = True

    def mend(self) -> None:
        self._broken = False

    def challenge(self) -> None:
        """Ask the payer of each payment from now on."""
        self._challenges = True

    def pass_challenges(self) -> None:
        for payment in self._made():
            payment |= {"status": "succeeded", "amount_received": payment["amount"]}

    def limit(self, times: int, retry_after: str = "") -> None:
        """Answer the next requests that are made with 429."""
        self._limits = [retry_after] * times

    def limited(self, method: str, key: str) -> str | None:
        """What the 429 of this request says in `Retry-After`; None where it is not limited."""
        with self._lock:
            if method != "POST" or not self._limits:
                return None
            self.asked += 1
            self.limited_keys.append(key)
            return self._limits.pop()

    def charges(self, reference: str) -> int:
        """How many payments it made under our reference."""
        return sum(payment["metadata"]["reference"] == reference for payment in self._made())

    def _made(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self.payments.values())

    def answer(self, method: str, path: str, form: dict[str, str], key: str) -> tuple[int, Any]:
        with self._lock:
            self.asked += 1
            self.waiting += 1
        try:
            if self._broken:
                return 500, {"error": {"type": "api_error", "message": "Out of order."}}
            done = self._do(method, path, form, key)
            # A limit that only ends what hangs.
            self._go.wait(120)
            return done
        finally:
            with self._lock:
                self.waiting -= 1

    def _do(self, method: str, path: str, form: dict[str, str], key: str) -> tuple[int, Any]:
        if method == "POST" and path == "/v1/payment_intents":
            with self._lock:
                self.keys.append(key)
                if key not in self.payments:
                    self.payments[key] = _payment(form)
                    self.return_urls.append(form.get("return_url", ""))
                    if self._challenges:
                        self.payments[key] |= _CHALLENGE
                return 200, self.payments[key]
        if path.endswith("/search") or path == "/v1/payment_intents":
            found = self._made()
            return 200, {"object": "list", "data": found, "has_more": False}
        for payment in self._made():
            if path == f"/v1/payment_intents/{payment['id']}":
                return 200, payment
            if path == f"/v1/payment_intents/{payment['id']}/capture":
                self.captures[key] = int(form["amount_to_capture"])
                payment |= {"status": "succeeded", "amount_received": self.captures[key]}
                return 200, payment
            if path == f"/v1/payment_intents/{payment['id']}/cancel":
                payment["status"] = "canceled"
                return 200, payment
        return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}}


_CHALLENGE = {
    "status": "requires_action",
    "amount_received": 0,
    "next_action": {
        "type": "redirect_to_url",
        "redirect_to_url": {"url": "https://bank.example/challenge"},
    },
}


def _payment(form: dict[str, str]) -> dict[str, Any]:
    amount, manual = int(form["amount"]), form["capture_method"] == "manual"
    return {
        "id": f"pi_{uuid.uuid4().hex}",
        "object": "payment_intent",
        "status": "requires_capture" if manual else "succeeded",
        "amount": amount,
        "amount_received": 0 if manual else amount,
        "currency": form["currency"],
        "metadata": {"reference": form["metadata[reference]"]},
        "latest_charge": None,
        "last_payment_error": None,
        "next_action": None,
    }


@contextmanager
def slow_provider() -> Iterator[SlowProvider]:
    """Start one; it ends with the block, and lets go of whatever waits then."""
    provider = SlowProvider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            form = parse_qs(self.rfile.read(size).decode())
            key = self.headers.get("Idempotency-Key", "")
            retry_after = provider.limited(self.command, key)
            if retry_after is None:
                status, body = provider.answer(
                    self.command,
                    urlsplit(self.path).path,
                    {name: values[0] for name, values in form.items()},
                    key,
                )
            else:
                status, body = 429, {"error": {"code": "rate_limit", "message": "Too many."}}
            raw = json.dumps(body).encode()
            self.send_response(status)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    with listening(server) as address:
        provider.url = address
        try:
            yield provider
        finally:
            provider.let_go()
