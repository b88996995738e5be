"""Servers that a test freezes: they keep their connections open and answer nothing."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import current_app

from core import enqueue
from core.breaker import Breaker
from devtools import valkey
from devtools.ports import free_port


class Frozen:
    """A process that can be stopped (not killed) and let go on."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def own_valkey() -> Iterator[Frozen]:
    """A Valkey for one test alone, which may freeze it; ended with the block."""
    with tempfile.TemporaryDirectory(prefix="merchantry-frozen-") as folder:
        cache = valkey.Cache(Path(folder), secrets.token_hex(8))
        port = free_port()
        cache.prepare(port)
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                cache.command(), stdout=output, stderr=subprocess.STDOUT, cwd=folder
            )
        try:
            valkey.wait_until_ready(cache.address(port), process, log)
            yield Frozen(process, cache.address(port))
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@contextmanager
def own_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    """A Valkey that this process's tasks go to, with nothing known about it yet."""
    with own_valkey() as server:
        enqueue._producers.close()
        monkeypatch.setattr(current_app.conf, "broker_write_url", server.url)
        monkeypatch.setattr(enqueue, "_breaker", Breaker("broker", open_s=0.2))
        yield server
        enqueue._producers.close()
