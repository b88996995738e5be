"""A light load generator: keep-alive connections on raw sockets, one thread each.

Runs as a process of its own (`python -m devtools.bench._load`), so that it does not share the
interpreter with what it measures. It reads one plan as JSON from each line of its input and answers
each with one line of JSON:

    {"port", "path", "key", "clients", "requests", "bodies": [...]}
    → {"seconds", "latencies_ms": [...], "statuses": {"201": n}, "replies": [...]}

`bodies` holds one body, used for all, or one for each request. Each request carries a fresh
Idempotency-Key. `replies` holds the bodies of the answers where the plan asks for them.

With `per_s` in the plan requests are sent at fixed times, whatever the answers take: a latency
counts from when its request was due, a broken connection is the status "error", and the next
request of that client opens another.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"


@dataclass(slots=True)
class Outcome:
    """What one connection saw."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    replies: list[Any] = field(default_factory=list)
    error: str = ""


class Connection:
    """One keep-alive connection; an answer is read by its Content-Length."""

    def __init__(self, port: int, *, timeout_s: float = 60) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._head = b""

    def ask(self, request: bytes) -> tuple[str, bytes]:
        self._socket.sendall(request)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._read()
        self._head = head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            raise ConnectionError("an answer without Content-Length")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        while len(self._buffer) < end + 4 + length:
            self._read()
        body = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        return head[9:12].decode(), body

    def retry_after_s(self) -> float | None:
        """What the last answer said in Retry-After, in seconds."""
        at = self._head.find(b"\r\nretry-after:")
        if at < 0:
            return None
        return float(self._head[at + 14 :].split(b"\r\n", 1)[0])

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        received = self._socket.recv(65_536)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._buffer += received


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Send the plan's requests over its connections and say how it went."""
    clients, requests = int(plan["clients"]), int(plan["requests"])
    prefix, bodies = _prepared(plan)
    outcomes = [Outcome() for _ in range(clients)]
    gate = threading.Barrier(clients + 1)
    turns = Turns(requests, float(plan["per_s"])) if plan.get("per_s") else None
    threads = [
        threading.Thread(target=_on_time, args=(plan, prefix, bodies, turns, outcome, gate))
        if turns is not None
        else threading.Thread(
            target=_client,
            args=(plan, prefix, bodies, range(number, requests, clients), outcome, gate),
        )
        for number, outcome in enumerate(outcomes)
    ]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    statuses: Counter[str] = Counter()
    for outcome in outcomes:
        statuses += outcome.statuses
    return {
        "seconds": seconds,
        "latencies_ms": [round(each, 3) for outcome in outcomes for each in outcome.latencies_ms],
        "statuses": dict(statuses),
        "replies": [reply for outcome in outcomes for reply in outcome.replies],
        "error": next((outcome.error for outcome in outcomes if outcome.error), ""),
    }


def _prepared(plan: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    prefix = (
        f"POST {plan['path']} HTTP/1.1\r\nHost: {HOST}:{plan['port']}\r\n"
        f"Authorization: Bearer {plan['key']}\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nIdempotency-Key: "
    ).encode()
    return prefix, [json.dumps(body, separators=(",", ":")).encode() for body in plan["bodies"]]


class Turns:
    """Numbers of requests and when each is due, shared by the clients."""

    def __init__(self, requests: int, per_s: float) -> None:
        self._numbers = iter(range(requests))
        self._lock = threading.Lock()
        self._per_s = per_s
        #: When the first one is due, on the monotonic clock.
        self.begin = time.monotonic() + 0.5

    def __iter__(self) -> Iterator[tuple[int, float]]:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number, self.begin + number / self._per_s


def _on_time(
    plan: dict[str, Any],
    prefix: bytes,
    bodies: list[bytes],
    turns: Turns,
    outcome: Outcome,
    gate: threading.Barrier,
) -> None:
    connection: Connection | None = None
    gate.wait()
    for number, due in turns:
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            connection = connection or Connection(int(plan["port"]))
            status, answer = connection.ask(_request(prefix, bodies[number % len(bodies)]))
            outcome.replies.append(json.loads(answer))
        except (OSError, ValueError) as error:
            status, connection = "error", None
            outcome.replies.append({"error": f"{type(error).__name__}: {error}"})
        outcome.latencies_ms.append((time.monotonic() - due) * 1000)
        outcome.statuses[status] += 1
    if connection is not None:
        connection.close()


def _request(prefix: bytes, body: bytes) -> bytes:
    return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
        prefix,
        os.urandom(12).hex().encode(),
        len(body),
        body,
    )


def _client(
    plan: dict[str, Any],
    prefix: bytes,
    bodies: list[bytes],
    numbers: range,
    outcome: Outcome,
    gate: threading.Barrier,
) -> None:
    keep = bool(plan.get("replies"))
    connection = None
    try:
        connection = Connection(int(plan["port"]))
        gate.wait()
        for number in numbers:
            body = bodies[number % len(bodies)]
            request = _request(prefix, body)
            began = time.perf_counter()
            status, answer = connection.ask(request)
            outcome.latencies_ms.append((time.perf_counter() - began) * 1000)
            outcome.statuses[status] += 1
            if keep or status not in ("200", "201", "202"):
                outcome.replies.append(json.loads(answer))
    except (OSError, ValueError) as error:
        outcome.error = f"{type(error).__name__}: {error}"
        gate.abort()
    except threading.BrokenBarrierError:
        outcome.error = "another connection failed"
    finally:
        if connection is not None:
            connection.close()


def serve(answer_to: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer each line of the input."""
    for line in sys.stdin:
        try:
            answer = answer_to(json.loads(line))
        except threading.BrokenBarrierError:
            answer = {"error": "the server does not take connections"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(run)
