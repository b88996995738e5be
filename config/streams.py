"""Serve what holds connections open: `python -m config.streams --bind HOST --port PORT`.

daphne with the limits that it leaves to its caller. It reads a request's whole body before it calls
the application, so a request that brings one is refused at its headers. The application counts the
open sockets (`notifications.socket_limits`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import daphne.server
from daphne.cli import CommandLineInterface
from daphne.http_protocol import HTTPFactory, WebRequest

#: A page sends nothing over its socket; what is larger ends it.
MAX_MESSAGE_BYTES: Final = 4_096
#: For the handshake, and for a connection on which nothing is said.
IDLE_TIMEOUT_S: Final = 10
_LIMITS: Final = {
    "--websocket-max-message-size": MAX_MESSAGE_BYTES,
    "--websocket-max-frame-size": MAX_MESSAGE_BYTES,
    "--websocket_connect_timeout": IDLE_TIMEOUT_S,
    "--http-timeout": IDLE_TIMEOUT_S,
    # Who does not answer a ping does not read either: what waits for it is dropped with it.
    "--ping-interval": 20,
    "--ping-timeout": 20,
}
_REFUSED: Final = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class BodilessRequest(WebRequest):
    """A request without a body; one that brings a body ends with its headers."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Twisted's hook: the headers are in; None is a chunked body."""
        super().gotLength(length or 0)
        if length != 0:
            self.channel.transport.write(_REFUSED)
            self.channel.loseConnection()


class LimitedFactory(HTTPFactory):
    """Gives each connection a time to say what it wants, and takes no bodies."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.timeOut = IDLE_TIMEOUT_S

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """Twisted's hook for a new connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BodilessRequest
        return protocol


def main(arguments: Sequence[str]) -> None:
    # The server makes its factory itself, from this name.
    daphne.server.HTTPFactory = LimitedFactory
    limits = [str(part) for pair in _LIMITS.items() for part in pair]
    CommandLineInterface().run([*limits, *arguments, "config.asgi:application"])


if __name__ == "__main__":
    main(sys.argv[1:])
