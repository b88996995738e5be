"""`./dev demo`: one payment end to end against the running platform, each step as it happens.

It is a customer of the public API: it knows no more than `.dev/demo.json` tells, but for the last
step, which asks the platform's database whether all its books together sum to zero.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin

import httpx
import psycopg

from devtools import say
from devtools.fleet import trusting_the_entry
from devtools.home import Home, read_json
from devtools.ports import HOST
from devtools.say import Stop

Json = dict[str, Any]

AMOUNT = 4200
REFUND = 1200
CURRENCY = "USD"
#: Asks for 3-D Secure, as Stripe's test card of this number does.
CARD = {"number": "4000000000003220", "exp_month": 12, "exp_year": 2031, "cvc": "123"}
PATIENCE_S = 40
SIGNATURE_TOLERANCE_S = 300


def demo() -> int:
    """Run the payment; 0 if every step was as it should be.

    Raises:
        Stop: the platform does not run, or a step went wrong; the sentence says which.
    """
    home = Home.default()
    known = read_json(home.demo_file)
    if not known.get("merchants"):
        raise Stop(
            f"There is no {home.demo_file.name} to say where the platform is. Run ./dev up first."
        )
    receiver = Receiver()
    with (
        receiver,
        httpx.Client(
            base_url=known["base_url"],
            timeout=30,
            trust_env=False,
            follow_redirects=False,
            verify=trusting_the_entry(home),
        ) as client,
    ):
        try:
            _Story(client, known["merchants"][0], receiver).tell()
        except httpx.TransportError as error:
            raise Stop(
                f"The platform at {known['base_url']} does not answer "
                f"({str(error) or type(error).__name__}). Run ./dev up first."
            ) from None
    books_sum_to_zero(read_json(home.run / "env.json").get("DATABASE_URL", ""))
    say.line("\nOne payment, end to end: every step was as it should be.")
    return 0


class _Story:
    """The steps of one payment, in order."""

    def __init__(self, client: httpx.Client, merchant: Json, receiver: Receiver) -> None:
        self._client = client
        self._merchant = merchant
        self._receiver = receiver

    def tell(self) -> None:
        say.line(f"{self._merchant['name']} takes {_money(AMOUNT)} from a card.\n")
        before = self._balance()
        self._subscribe()
        try:
            payment = self._pay()
            self._challenge(payment)
            payment = self._capture(payment)
            self._ledger(payment)
            self._webhook("payment.completed", payment["id"])
            self._refund(payment)
        finally:
            self._unsubscribe()
        self._balances(before)

    def _subscribe(self) -> None:
        url = f"http://{HOST}:{self._receiver.port}/webhooks"
        endpoint = self._post("/v1/webhook_endpoints", {"url": url, "events": ["*"]})
        self._endpoint = str(endpoint["id"])
        self._receiver.secret = str(endpoint["secret"])
        say.done(f"webhook endpoint  {endpoint['id']}  {url}")

    def _unsubscribe(self) -> None:
        self._client.delete(f"/v1/webhook_endpoints/{self._endpoint}", headers=self._secret_key())

    def _pay(self) -> Json:
        token = self._post("/v1/tokens", {"card": CARD}, key=self._merchant["publishable_key_test"])
        say.done(f"card token        {token['id']}")
        payment = self._post(
            "/v1/payments",
            {
                "amount": AMOUNT,
                "currency": CURRENCY,
                "payment_method_token": token["id"],
                "confirm": True,
                "capture_method": "manual",
                "return_url": f"http://{HOST}:{self._receiver.port}/thanks",
                "description": "Demo order",
                "reference": f"demo-{secrets.token_hex(4)}",
            },
        )
        _expect(
            payment["status"] == "requires_action",
            f"The payment should ask for 3-D Secure and is {payment['status']}.",
        )
        say.done(f"payment           {payment['id']}  {payment['status']}")
        return payment

    def _challenge(self, payment: Json) -> None:
        """Do what the payer's browser does: open the bank's page and press Complete."""
        url = str(payment["next_action"]["url"])
        page = self._client.get(url)
        _expect(page.status_code == 200, f"The challenge's page answers {page.status_code}.")
        form = _Form.of(page.text)
        answer = self._client.post(
            urljoin(str(page.url), form.action),
            data={**form.hidden, "answer": "complete"},
            headers={"Referer": str(page.url), "Origin": _origin(page.url)},
        )
        _expect(
            answer.status_code in (200, 302, 303),
            f"The challenge's answer was refused with {answer.status_code}.",
        )
        say.done("3-D Secure        challenge shown and completed by the payer")

    def _capture(self, payment: Json) -> Json:
        address = f"/v1/payments/{payment['id']}"
        authorized = self._wait_for(
            address,
            lambda found: found["status"] != "requires_action",
            "The payment does not leave requires_action after the challenge",
        )
        _expect(
            authorized["status"] not in ("failed", "canceled"),
            f"The payment is {authorized['status']} after the challenge.",
        )
        say.done(f"authorized        {_money(AMOUNT)} reserved, {authorized['status']}")
        self._post(f"{address}/capture", {"amount": AMOUNT})
        captured = self._wait_for(
            address,
            lambda found: found["status"] == "completed",
            "The captured payment does not complete",
        )
        _expect(
            captured["amount_captured"] == AMOUNT,
            f"{captured['amount_captured']} was captured instead of {AMOUNT}.",
        )
        say.done(f"captured          {_money(captured['amount_captured'])}, {captured['status']}")
        return captured

    def _ledger(self, payment: Json) -> None:
        lines = self._get(f"/v1/payments/{payment['id']}?expand=ledger")["ledger"]
        _expect(bool(lines), "The payment has no ledger lines.")
        say.done(f"ledger            {len(lines)} transfers")
        for line in lines:
            say.line(
                f"    {line['state']:<8} {_money(line['amount'], line['currency']):>12}  "
                f"{line['debit_account']}  →  {line['credit_account']}  ({line['code']})"
            )

    def _webhook(self, event_type: str, object_id: str) -> None:
        event = self._receiver.wait_for(event_type, object_id)
        say.done(f"webhook           {event_type} received, signature verified ({event['id']})")

    def _refund(self, payment: Json) -> None:
        refund = self._post(
            "/v1/refunds",
            {"payment": payment["id"], "amount": REFUND, "reason": "requested_by_customer"},
        )
        refund = self._wait_for(
            f"/v1/refunds/{refund['id']}",
            lambda found: found["status"] in ("completed", "succeeded", "failed"),
            "The refund does not end",
        )
        _expect(refund["status"] != "failed", "The refund failed.")
        say.done(f"refund            {refund['id']}  {_money(REFUND)}, {refund['status']}")
        self._webhook("refund.completed", refund["id"])

    def _balances(self, before: Json) -> None:
        after = self._balance()
        net = sum(after.values()) - sum(before.values())
        # The fees stay with the platform and the reseller, so the merchant gets less than the rest.
        _expect(
            0 < net <= AMOUNT - REFUND,
            f"The merchant's balance moved by {net} instead of at most {AMOUNT - REFUND}.",
        )
        shown = ", ".join(f"{name} {_money(amount)}" for name, amount in after.items())
        say.done(f"balance           {_money(net)} more than before, after fees: {shown}")

    def _balance(self) -> dict[str, int]:
        """Pending, available and reserved in the currency of the demo."""
        balances = self._get("/v1/balance")["balances"]
        return {
            name: sum(int(entry[name]) for entry in balances if entry["currency"] == CURRENCY)
            for name in ("pending", "available", "reserved")
        }

    def _secret_key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._merchant['secret_key_test']}"}

    def _get(self, path: str) -> Json:
        return _data(self._client.get(path, headers=self._secret_key()))

    def _post(self, path: str, body: Json, *, key: str | None = None) -> Json:
        headers = {"Authorization": f"Bearer {key}"} if key else self._secret_key()
        headers["Idempotency-Key"] = secrets.token_hex(16)
        return _data(self._client.post(path, json=body, headers=headers))

    def _wait_for(self, path: str, holds: Callable[[Json], bool], otherwise: str) -> Json:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self._get(path)
            if holds(found):
                return found
            if time.monotonic() > deadline:
                raise Stop(f"{otherwise}: still {found.get('status')} after {PATIENCE_S} s.")
            time.sleep(0.2)


def books_sum_to_zero(database_url: str) -> None:
    """See that debits and credits over all accounts of each ledger are equal.

    Raises:
        Stop: they are not, or the database cannot be asked.
    """
    if not database_url:
        raise Stop("The platform does not run here: its books cannot be asked. Run ./dev up first.")
    with psycopg.connect(database_url) as connection:
        connection.execute("select set_config('role', 'app_staff', true)")
        rows = connection.execute(
            "select currency, livemode, count(*),"
            " sum(debits_posted), sum(credits_posted), sum(debits_pending), sum(credits_pending)"
            " from ledger_account group by currency, livemode order by currency, livemode"
        ).fetchall()
    _expect(bool(rows), "The ledger has no accounts.")
    for currency, livemode, accounts, *sums in rows:
        debits, credited, debits_pending, credits_pending = sums
        _expect(
            debits == credited and debits_pending == credits_pending,
            f"The books of {currency} do not sum to zero: debits {debits}, credits {credited}.",
        )
        say.done(
            f"books             {currency} {'live' if livemode else 'test'}: {accounts} accounts, "
            f"debits {debits} = credits {credited}, sum 0"
        )


class Receiver:
    """A small webhook receiver on loopback, which believes only what is signed."""

    def __init__(self) -> None:
        self.secret = ""
        self._events: queue.SimpleQueue[Json] = queue.SimpleQueue()
        self._seen: list[Json] = []
        self._refused: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(receiver.receive(dict(self.headers), body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """The story is on the screen already."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer a delivery with: 204, or 400 for one that is not genuine."""
        if not verified(self.secret, headers, body, now_s=time.time()):
            self._refused.append(body[:200].decode(errors="replace"))
            return 400
        self._events.put(json.loads(body))
        return 204

    def wait_for(self, event_type: str, object_id: str) -> Json:
        """The event of that type about the object.

        Raises:
            Stop: it does not come, or what came was not signed as it should be.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for event in self._seen:
                if event.get("type") == event_type and object_id in json.dumps(event):
                    return event
            if self._refused:
                raise Stop(f"A webhook came with a wrong signature: {self._refused[0]}")
            try:
                self._seen.append(self._events.get(timeout=max(deadline - time.monotonic(), 0.01)))
            except queue.Empty:
                came = ", ".join(str(event.get("type")) for event in self._seen) or "none"
                raise Stop(
                    f"The webhook {event_type} did not come in {PATIENCE_S} s; received: {came}."
                ) from None


def verified(secret: str, headers: dict[str, str], body: bytes, *, now_s: float) -> bool:
    """Whether a delivery is genuine and fresh, by the Standard Webhooks specification 1.0."""
    given = {name.lower(): value for name, value in headers.items()}
    identifier, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now_s - int(timestamp)) > SIGNATURE_TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{timestamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(
        hmac.compare_digest(candidate, wanted)
        for candidate in given.get("webhook-signature", "").split()
    )


class _Form(HTMLParser):
    """The first POST form of a page: where it goes, and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self._inside = False
        self.found = False

    @classmethod
    def of(cls, page: str) -> _Form:
        form = cls()
        form.feed(page)
        _expect(form.found, "The challenge's page holds no form to answer.")
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.found and given.get("method", "").lower() == "post":
            self.found = self._inside = True
            self.action = given.get("action", "")
        elif tag == "input" and self._inside and given.get("type") == "hidden":
            self.hidden[given.get("name", "")] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def _data(response: httpx.Response) -> Json:
    """The data in the envelope.

    Raises:
        Stop: the platform refused; its own words are quoted.
    """
    where = f"{response.request.method} {response.request.url.path}"
    try:
        content = response.json()
    except ValueError:
        raise Stop(f"{where} answered {response.status_code} without JSON.") from None
    if not content.get("success"):
        error = content.get("error", {})
        raise Stop(
            f"{where} answered {response.status_code}: {error.get('message')} "
            f"({error.get('type')}, {error.get('code')})"
        )
    data = content["data"]
    return data if isinstance(data, dict) else {"items": data}


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Stop(otherwise)


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _money(amount_minor: int, currency: str = CURRENCY) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d} {currency}"
