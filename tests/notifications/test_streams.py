"""The streams process as it is started: what it refuses before any of it is kept."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from config.streams import MAX_MESSAGE_BYTES
from devtools.ports import free_port
from tests.core.support import ROOT, eventually
from tests.factories import make_tenants
from tests.notifications.test_websockets import log_in

TEXT, PING = 0x81, 0x89


@pytest.fixture(scope="module")
def port(database: str) -> Iterator[int]:
    chosen = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "config.streams", "-b", "127.0.0.1", "-p", str(chosen)],
        cwd=ROOT,
        env=os.environ.copy(),
    )
    try:
        eventually(lambda: _answers(chosen), timeout_s=120)
        yield chosen
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def asked(port: int, request: bytes) -> bytes:
    """All that is answered until the server closes; nothing is sent after `request`."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        return read(connection)


def read(connection: socket.socket, *, until: bytes | None = None) -> bytes:
    """What comes up to `until`, or up to the connection's end."""
    found = b""
    # A connection that is dropped with bytes unread ends in a reset.
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            found += piece
            if until is not None and until in found:
                return found
    assert until is None, found
    return found


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100000000", b"Content-Length: 1", b"Transfer-Encoding: chunked"]
)
def test_a_body_is_refused_at_its_headers(port: int, length: bytes) -> None:
    head = b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n"
    assert asked(port, head).startswith(b"HTTP/1.1 413 ")


def test_a_page_is_not_served_here(port: int) -> None:
    answer = asked(port, b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 421 ")


def test_a_message_larger_than_a_page_sends_ends_the_connection(port: int) -> None:
    session = log_in(make_tenants().users["merchant.viewer"])
    with opened(port, session) as connection:
        connection.sendall(frame(TEXT, b"x" * MAX_MESSAGE_BYTES))
        connection.sendall(frame(PING, b"still there?"))
        assert read(connection, until=b"still there?")
        connection.sendall(frame(TEXT, b"x" * (MAX_MESSAGE_BYTES + 1)))
        read(connection)  # to its end, or the test hangs


def opened(port: int, session: SessionStore) -> socket.socket:
    """A websocket of a person who is logged in, past its handshake."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        "GET /ws/activity HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Origin: {settings.BASE_URL}",
        f"Cookie: {settings.SESSION_COOKIE_NAME}={session.session_key}",
    ]
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    assert read(connection, until=b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return connection


def frame(kind: int, payload: bytes) -> bytes:
    """One final frame, masked with zeros (RFC 6455, 5.2)."""
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes([kind]) + size + bytes(4) + payload
