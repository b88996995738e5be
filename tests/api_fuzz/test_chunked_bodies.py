"""A body without a Content-Length says what it says: it is neither empty nor endless."""

from __future__ import annotations

import io
import json
import secrets
from typing import Any

import pytest

from config.wsgi import application
from tests.api import Api, new_api


class Endless:
    """A client that never stops sending; counts what was read."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "nobody may read all of it"
        # As a server does it: what has arrived, not all that was asked for.
        piece = b"a" * min(size, 65_536)
        self.bytes_read += len(piece)
        return piece


def send(api: Api, path: str, stream: Any, *, terminated: bool = True) -> tuple[int, Any]:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_AUTHORIZATION": f"Bearer {api.tenants.secret_key_test}",
        "HTTP_IDEMPOTENCY_KEY": secrets.token_hex(16),
        "wsgi.input": stream,
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": terminated,
    }
    told: list[str] = []
    answer = application(environ, lambda status, headers, *_: told.append(status))
    body = b"".join(answer)
    return int(told[0].split()[0]), json.loads(body)


@pytest.fixture
def api(database: str) -> Api:
    return new_api()


def test_a_part_sent_in_chunks_captures_that_part_and_not_everything(api: Api) -> None:
    held = api.pay(amount=1_000, capture_method="manual").json()["data"]
    status, answer = send(api, f"/v1/payments/{held['id']}/capture", io.BytesIO(b'{"amount": 400}'))
    assert status == 200, answer
    assert answer["data"]["amount_captured"] == 400


def test_an_endless_body_is_refused_after_a_little(api: Api) -> None:
    stream = Endless()
    status, answer = send(api, "/v1/payments", stream)
    assert status == 413
    assert answer["error"]["code"] == "payload_too_large"
    assert stream.bytes_read < 4_000_000


def test_without_an_end_the_length_is_required(api: Api) -> None:
    status, answer = send(api, "/v1/payments", Endless(), terminated=False)
    assert status == 411
    assert answer["error"]["code"] == "length_required"
