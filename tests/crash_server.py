"""The process behind `tests.crashing`: it sets Django up once, and a fork of it makes each request.

Reads one request a line, as JSON; answers with the status that the fork ended with, negative for a
signal, and what it wrote.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import django

django.setup()

from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from core import crashpoints  # noqa: E402


def serve() -> None:
    """Until the tests are over and the input ends."""
    assert get_resolver().url_patterns  # imports every view
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            _request(**json.loads(line))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            output = said.read().decode(errors="replace")
        _, status = os.waitpid(child, 0)
        answer = {"status": os.waitstatus_to_exitcode(status), "output": output}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _request(
    *, at: str, database_url: str, method: str, path: str, body: str, headers: dict[str, Any]
) -> None:
    os.environ["DATABASE_URL"] = database_url
    connections.settings["default"]["NAME"] = urlsplit(database_url).path.strip("/")
    crashpoints._CRASH_AT = at
    answer = Client().generic(
        method, path, body.encode(), content_type="application/json", headers=headers
    )
    os.write(1, f"{answer.status_code} {answer.content.decode()}\n".encode())


if __name__ == "__main__":
    serve()
