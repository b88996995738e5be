"""An HTTP server on loopback that takes every POST: a merchant's receiver, or a slow provider."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from devtools.ports import HOST


class Receiver(http.server.ThreadingHTTPServer):
    """Answers 200 after `after_s`, or once it is `over`; keeps which webhooks came for what."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, after_s: float) -> None:
        super().__init__((HOST, 0), _Handler)
        self.after_s = after_s
        self.over = threading.Event()
        #: Paths that were sent to.
        self.asked: set[str] = set()
        #: The most requests that waited for their answer at one moment.
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._webhooks: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._came_at: dict[tuple[str, str], float] = {}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def remember(self, webhook_id: str, body: bytes) -> None:
        """Count a webhook under its event type and the id of the object that it is about."""
        event = json.loads(body)
        with self._lock:
            about = event["type"], event["data"]["id"]
            self._webhooks[about][webhook_id] += 1
            self._came_at.setdefault(about, time.monotonic())

    def came_at(self, event_type: str) -> dict[str, float]:
        """When (monotonic) an event of this type first came, by the object that it is about."""
        with self._lock:
            return {
                subject: at for (name, subject), at in self._came_at.items() if name == event_type
            }

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as a request under way."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def told_of(self, event_type: str) -> set[str]:
        """Ids of the objects that an event of this type has arrived for."""
        with self._lock:
            return {subject for name, subject in self._webhooks if name == event_type}

    def repeated(self) -> int:
        """How many webhooks came again under an id that had arrived before."""
        with self._lock:
            return sum(count - 1 for ids in self._webhooks.values() for count in ids.values())


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.add(self.path)
        if self.server.after_s:
            with self.server.waiting():
                self.server.over.wait(self.server.after_s)
        if webhook_id := self.headers.get("webhook-id"):
            self.server.remember(webhook_id, body)
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextlib.contextmanager
def receiver(after_s: float = 0.0) -> Iterator[Receiver]:
    """A receiver for the time of the block; what still waits then is answered at once."""
    server = Receiver(after_s)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
