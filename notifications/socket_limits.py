"""How many websockets may be open: in a process, from one address, of one person.

The counts are in the memory of the process, so each limit holds per process; several streams
processes allow as many times the figure. A socket above a limit is accepted and closed with a code
of its own, on which the page polls and does not reconnect soon (`static/js/live.js`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from django.conf import settings

from core.proxies import network_of

log = structlog.get_logger(__name__)

CLOSE_TOO_MANY: Final = 4429

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[Any]]


class Places:
    """Counts what is open under a name, up to a limit."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, name: str, *, most: int) -> bool:
        """Whether there was a place left under `name`; it is then taken."""
        if self._open[name] >= most:
            return False
        self._open[name] += 1
        return True

    def give_back(self, name: str) -> None:
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]


addresses = Places()
people = Places()
_process = Places()


class SocketLimits:
    """ASGI middleware that counts sockets of the process and of an address, handshakes included.

    Runs inside `ClientAddresses`, which sets the client's address.
    """

    def __init__(self, app: Asgi) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        address = network_of((scope.get("client") or [""])[0])
        if not _process.take("", most=settings.WS_PER_PROCESS):
            await self._refuse(receive, send, "process")
            return
        try:
            if not addresses.take(address, most=settings.WS_PER_ADDRESS):
                await self._refuse(receive, send, "address")
                return
            try:
                await self.app(scope, receive, send)
            finally:
                addresses.give_back(address)
        finally:
            _process.give_back("")

    async def _refuse(self, receive: Any, send: Any, limit: str) -> None:
        log.warning("websocket.too_many", reason=limit)
        await receive()
        # A close code reaches the page only over an accepted socket.
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": CLOSE_TOO_MANY})
