"""A resolver that a test commands: for names under `.test`, the rest is asked for really."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Resolver:
    """Answers with `addresses` (none: the name is unknown), and only while it is not held."""

    def __init__(self) -> None:
        self.addresses: list[str] = ["127.0.0.1"]
        self.asked: list[str] = []
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def answer(self, host: str, port: Any) -> list[Any]:
        self.asked.append(host)
        self._go.wait(60)
        if not self.addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port or 0),
            )
            for address in self.addresses
        ]


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Names under `.test` are asked of this resolver during the block."""
    resolver, real = Resolver(), socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if str(host).endswith(".test"):
            return resolver.answer(str(host), port)
        return real(host, port, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        try:
            yield resolver
        finally:
            resolver.let_go()
