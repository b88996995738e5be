"""Requests in a process of their own, which is killed (-9) on the way."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

#: What differs from test to test, and goes with the request.
_A_TESTS: Final = frozenset({"DATABASE_URL", "PYTEST_CURRENT_TEST"})


def crash(at: str, method: str, path: str, body: str, headers: Mapping[str, str]) -> None:
    """Make the request in a process that dies at the crash point `at`.

    The process is a fork of one that has set Django up, which takes two seconds and is done once.
    """
    request = {
        "at": at, "method": method, "path": path, "body": body, "headers": dict(headers),
        "database_url": os.environ["DATABASE_URL"],
    }  # fmt: skip
    server = _server(tuple(sorted((k, v) for k, v in os.environ.items() if k not in _A_TESTS)))
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    assert answer["status"] == -9, f"not killed at {at}: {answer['output']}"


@functools.cache
def _server(environment: tuple[tuple[str, str], ...]) -> subprocess.Popen[str]:
    """Ends with this process, which holds the other end of its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash_server"],
        cwd=ROOT,
        env={**dict(environment), "DATABASE_URL": os.environ["DATABASE_URL"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
