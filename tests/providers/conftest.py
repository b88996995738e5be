"""Fixtures of the provider tests: the sandbox's rig, and localstripe on a free loopback port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def localstripe() -> Iterator[str]:
    """The address of a localstripe of this run's own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("localstripe_server.py")
    process = subprocess.Popen([sys.executable, str(script), str(port)])
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "localstripe did not start"
                assert time.monotonic() < deadline, "localstripe does not listen"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.fixture(scope="session")
def sandbox_account(database: str) -> uuid.UUID:
    """The platform's own sandbox account, which the migrations make."""
    return uuid.UUID("01980000-0000-7000-8000-000000005a4d")
