"""A real HTTP server on loopback that plays the integrator: verifies, remembers, answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

from notifications import signing
from tests.listening import listening

#: What a test holds back is let go by the test; this ends only what hangs.
LONGEST_S = 60.0


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict:
        return orjson.loads(self.body)


@dataclass
class Receiver:
    """Answers with the statuses in `script`, then with 200."""

    url: str
    script: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    requests: list[Received] = field(default_factory=list)
    delay_s: float = 0.0
    body: bytes = b"thanks"
    before_answer: Callable[[float], object] = field(default=lambda _: None)
    before_body: Callable[[float], object] = field(default=lambda _: None)

    def answer_next(self, *statuses: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.script.extend((status, named) for status in statuses)

    def verified(self, secret: str) -> list[dict]:
        """The events received, each one's signature checked as an integrator should."""
        for request in self.requests:
            signing.verify(secret=secret, headers=request.headers, body=request.body)
        return [request.event for request in self.requests]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            raw = self.rfile.read(length)
            receiver.requests.append(
                Received(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            )
            time.sleep(receiver.delay_s)
            receiver.before_answer(LONGEST_S)
            status, headers = receiver.script.popleft() if receiver.script else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            receiver.before_body(LONGEST_S)
            with suppress(ConnectionError):  # who asked may have given up waiting
                self.wfile.write(receiver.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(url=f"http://127.0.0.1:{server.server_port}/hooks")
    with listening(server):
        yield receiver
