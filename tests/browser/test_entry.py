"""The one public entry in front of the running platform, met over plain sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api import Api, new_api
from tests.browser.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

#: Ends what hangs.
LIMIT_S = 120
SLOW = 60


@dataclass(frozen=True, slots=True)
class Slow:
    """Connections that have said so much and then nothing, and what others got meanwhile."""

    bodies: list[socket.socket]
    headers: list[socket.socket]
    health: list[int]


def port_of(live: Live) -> int:
    return urlsplit(live.url).port or 0


def slow_header(port: int) -> bytes:
    return f"GET /login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow:".encode()


def slow_body(port: int) -> bytes:
    return (
        f"POST /v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    ).encode()


def ask(live: Live, path: str, *lines: str, body: bytes = b"", method: str = "GET") -> Any:
    """Send the header lines exactly as given; (status, headers, body)."""
    port = port_of(live)
    head = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65_536):
                received += piece
    top, _, content = received.partition(b"\r\n\r\n")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, content


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=10) as answer:
        return int(answer.status)


@pytest.fixture
def shop(live: Live) -> Api:
    return new_api()


# They are opened together, for each of them waits until a limit ends it.
@pytest.fixture(scope="module")
def slow(live: Live) -> Iterator[dict[str, Slow]]:
    with contextlib.ExitStack() as stack:

        def opened(port: int, words: bytes) -> list[socket.socket]:
            made = []
            for _ in range(SLOW):
                sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
                made.append(stack.enter_context(sock))
                sock.sendall(words)
            return made

        places = {"the entry": port_of(live), "the web process alone": live.web_port}
        sockets = {
            place: (opened(port, slow_body(port)), opened(port, slow_header(port)))
            for place, port in places.items()
        }
        yield {
            place: Slow(*sockets[place], health=[health(port) for _ in range(10)])
            for place, port in places.items()
        }


@pytest.mark.parametrize("place", ["the entry", "the web process alone"])
def test_bodies_that_do_not_arrive_stop_nobody_and_are_ended(
    slow: dict[str, Slow], place: str
) -> None:
    assert slow[place].health == [200] * 10
    bodies = slow[place].bodies
    said = [sock.recv(4_096) for sock in bodies]
    assert {words.split(b"\r\n")[0] for words in said} == {b"HTTP/1.1 408 Request Timeout"}
    if place == "the entry":
        # And nothing of them is kept, neither now nor until the connection has rested.
        assert all(b"connection: close\r\n" in words.lower() for words in said)
        assert [sock.recv(4_096) for sock in bodies] == [b""] * SLOW


@pytest.mark.parametrize("place", ["the entry", "the web process alone"])
def test_headers_that_do_not_end_stop_nobody_and_are_ended(
    slow: dict[str, Slow], place: str
) -> None:
    assert slow[place].health == [200] * 10
    ends = time.monotonic() + LIMIT_S
    for sock in slow[place].headers:
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(4_096):
                assert time.monotonic() < ends


def allowed_from(shop: Api, address: str) -> str:
    made = shop.post("/v1/api_keys", {"kind": "sk", "name": "Bound", "ip_allowlist": [address]})
    assert made.status_code == 201, made.content
    return str(made.json()["data"]["key"])


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Forwarded-For: 198.51.100.1"],
        ["X_Forwarded_For: 198.51.100.1"],
        ["X-Forwarded_For: 198.51.100.1"],
        ["x_forwarded-for: 198.51.100.1", "X-Forwarded-For: 198.51.100.1"],
        ["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.1"],
        ["X-Forwarded-For: 198.51.100.1, 127.0.0.1"],
        ["X-Real-IP: 198.51.100.1", "Forwarded: for=198.51.100.1"],
        ["Remote-Addr: 198.51.100.1", "REMOTE_ADDR: 198.51.100.1"],
    ],
)
def test_no_spelling_of_an_address_passes_an_allowlist(
    live: Live, shop: Api, lines: list[str]
) -> None:
    secret = allowed_from(shop, "198.51.100.1")
    status, _, body = ask(live, "/v1/balance", f"Authorization: Bearer {secret}", *lines)
    assert status == 403
    assert json.loads(body)["error"]["code"] == "ip_not_allowed"


def test_the_callers_own_address_is_said_once(live: Live, shop: Api) -> None:
    secret = allowed_from(shop, "127.0.0.1")
    status, *_ = ask(live, "/v1/balance", f"Authorization: Bearer {secret}")
    assert status == 200


def test_a_repeated_credential_is_refused(live: Live, shop: Api) -> None:
    key = f"Authorization: Bearer {shop.tenants.secret_key_test}"
    status, _, body = ask(live, "/v1/balance", key, key)
    assert (status, json.loads(body)["error"]["code"]) == (400, "header_repeated")


@pytest.mark.parametrize(("path", "envelope"), [("/v1/payments", True), ("/login", False)])
def test_a_body_that_is_too_large_is_refused_in_the_face_that_was_asked(
    live: Live, path: str, *, envelope: bool
) -> None:
    status, headers, body = ask(live, path, body=b"a" * 1_300_000, method="POST")
    assert status == 413
    if envelope:
        assert json.loads(body)["error"]["code"] == "payload_too_large"
    else:
        assert headers["content-type"].startswith("text/plain")
    assert "server" not in headers


def test_our_static_files_may_be_kept_when_their_version_is_named(live: Live) -> None:
    status, headers, _ = ask(live, "/static/css/pages.css?v=1")
    assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    status, headers, _ = ask(live, "/static/css/pages.css")
    assert (status, headers["cache-control"]) == (200, "no-cache")


def test_static_files_of_our_packages_come_too_and_nothing_else(live: Live) -> None:
    assert ask(live, "/static/admin/css/base.css")[0] == 200
    for path in ("/static/../manage.py", "/static/%2e%2e/manage.py", "/static/", "/static/css/"):
        assert ask(live, path)[0] in (400, 403, 404), path


def test_pages_are_compressed_for_who_asks(live: Live) -> None:
    status, headers, _ = ask(live, "/login", "Accept-Encoding: gzip")
    assert (status, headers["content-encoding"]) == (200, "gzip")


def test_websockets_are_on_the_same_host(live: Live) -> None:
    status, headers, _ = ask(
        live,
        "/ws/tenant",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: https://elsewhere.example",
    )
    # Answered by the process of the sockets, which turns a foreign page away.
    assert status == 403
    assert "x-request-id" not in headers


def test_what_is_not_there_is_said_in_the_envelope(live: Live) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{live.url}/v1/nothing", timeout=LIMIT_S)
    assert refused.value.code in (401, 404)
