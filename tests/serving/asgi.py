"""An ASGI server for one request at a time, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.serving.web import WebGate

Lines = list[tuple[bytes, bytes]]


@dataclass
class Exchange:
    """A request that may stop half-way, and what was answered."""

    method: str = "GET"
    target: str = "/"
    headers: Lines = field(default_factory=list)
    pieces: Iterable[bytes] = (b"",)
    ends: bool = True
    client: tuple[str, int] = ("127.0.0.1", 4711)
    sent: list[dict[str, Any]] = field(default_factory=list)

    @property
    def scope(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": self.headers,
            "client": self.client,
            "server": ("testserver", 80),
        }

    async def through(self, gate: WebGate) -> Exchange:
        """Send it; returns when the answer is there."""
        waiting = list(self.pieces)

        async def receive() -> dict[str, Any]:
            if waiting:
                piece = waiting.pop(0)
                return {
                    "type": "http.request",
                    "body": piece,
                    "more_body": bool(waiting) or not self.ends,
                }
            # The rest never comes.
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            self.sent.append(dict(message))

        await gate(self.scope, receive, send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.sent[0]["headers"] if key == name.encode()]
        return found[0].decode() if found else None


def post(target: str, body: bytes, *headers: tuple[str, str], **more: Any) -> Exchange:
    """A POST with a Content-Length."""
    lines = [(name.lower().encode(), value.encode()) for name, value in headers]
    lines.append((b"content-length", str(len(body)).encode()))
    return Exchange("POST", target, lines, (body,), **more)
