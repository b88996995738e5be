"""Clients that pay at fixed times and repeat what broke until it is answered, as integrators do.

A process of its own (`python -m devtools.bench._payers`), like `_load`. It answers each line

    {"port", "key", "per_s", "clients", "give_up_s", "bodies": [...]}

with one line of JSON:

    {"began", "ended", "payments": [...], "answers": [...]}

Each body is one payment, whose `reference` is its Idempotency-Key too. A request that broke, or got
5xx, 409 or 429, is sent again under the same key after the answer's Retry-After, two seconds at
most; a payment that was acknowledged as processing is looked up until it has an end. All times are
seconds on the monotonic clock, which is one for all processes of the machine:

* `payments`: `reference`, `due`, `ended` (null: given up), `id` (null: never acknowledged),
  `status`, and `seen`, what came instead of an end;
* `answers`: when a request was answered with 2xx.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from devtools.bench._load import HOST, Connection, Turns, serve

#: Between two tries; the first without Retry-After comes soon, the next ones later.
PAUSE_FIRST_S, PAUSE_MOST_S = 0.1, 2.0
#: An answer takes no longer than the platform's deadline for a request, 12 s, and its commit.
ANSWER_S = 20.0
_AGAIN = frozenset({"409", "429"})
_UNDER_WAY = frozenset({"pending", "processing"})


@dataclass(slots=True)
class Paid:
    """One payment as its payer saw it."""

    reference: str
    due: float
    ended: float | None = None
    id: str | None = None
    status: str = ""
    seen: list[str] = field(default_factory=list)


class Payer:
    """One client with one connection; it makes one payment after another."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._port, self._key = int(plan["port"]), str(plan["key"])
        self._give_up_s = float(plan["give_up_s"])
        self._connection: Connection | None = None
        self.paid: list[Paid] = []
        self.answers: list[float] = []

    def pay(self, body: dict[str, Any], due: float) -> None:
        """Make one payment and stay with it until it has an end, or the time is over."""
        paid = Paid(str(body["reference"]), due)
        self.paid.append(paid)
        pause_s = PAUSE_FIRST_S
        while paid.ended is None and time.monotonic() < due + self._give_up_s:
            wait_s = self._try(paid, body)
            if paid.ended is None:
                time.sleep(min(pause_s if wait_s is None else wait_s, PAUSE_MOST_S))
                pause_s = min(pause_s * 2, PAUSE_MOST_S)

    def _try(self, paid: Paid, body: dict[str, Any]) -> float | None:
        """Ask once; returns the Retry-After in seconds, if the answer had one."""
        try:
            self._connection = self._connection or Connection(self._port, timeout_s=ANSWER_S)
            connection = self._connection
            status, answer = connection.ask(self._request(paid, body))
            data = json.loads(answer)
        except (OSError, ValueError) as error:
            paid.seen.append(type(error).__name__)
            self.drop()
            return None
        if status.startswith("2"):
            if paid.id is None:
                self.answers.append(time.monotonic())
            paid.id, paid.status = data["data"]["id"], data["data"]["status"]
            if paid.status not in _UNDER_WAY:
                paid.ended = time.monotonic()
            else:
                paid.seen.append(f"{status} {paid.status}")
            return 1.0
        code = data["error"]["code"]
        paid.seen.append(f"{status} {code}")
        if not status.startswith("5") and status not in _AGAIN:
            paid.ended, paid.status = time.monotonic(), code
        return connection.retry_after_s()

    def _request(self, paid: Paid, body: dict[str, Any]) -> bytes:
        """The payment itself, or the question what became of one that was acknowledged."""
        common = (
            f"Host: {HOST}:{self._port}\r\nAuthorization: Bearer {self._key}\r\n"
            "Accept: application/json\r\n"
        )
        if paid.id is not None:
            return f"GET /v1/payments/{paid.id} HTTP/1.1\r\n{common}\r\n".encode()
        content = json.dumps(body)
        return (
            f"POST /v1/payments HTTP/1.1\r\n{common}Content-Type: application/json\r\n"
            f"Idempotency-Key: {paid.reference}\r\nContent-Length: {len(content)}\r\n\r\n{content}"
        ).encode()

    def drop(self) -> None:
        """Close the connection; the next payment opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Make the plan's payments and say what became of each."""
    bodies = plan["bodies"]
    turns = Turns(len(bodies), float(plan["per_s"]))
    payers = [Payer(plan) for _ in range(int(plan["clients"]))]

    def work(payer: Payer) -> None:
        for number, due in turns:
            time.sleep(max(0.0, due - time.monotonic()))
            payer.pay(bodies[number], due)
        payer.drop()

    threads = [threading.Thread(target=work, args=(payer,)) for payer in payers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paid = sorted((each for payer in payers for each in payer.paid), key=lambda each: each.due)
    return {
        "began": turns.begin,
        "ended": time.monotonic(),
        "payments": [asdict(each) for each in paid],
        "answers": sorted(at for payer in payers for at in payer.answers),
    }


if __name__ == "__main__":
    serve(run)
