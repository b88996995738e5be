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

from config.streams import MAX_MESSAGE_BYTES
from devtools.ports import free_port
from tests.core.support import ROOT, eventually

NOT_LOGGED_IN = 4401


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
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        # A connection that is dropped with bytes unread ends in a reset.
        with suppress(ConnectionResetError):
            while piece := connection.recv(65_536):
                answer += piece
    return answer


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
    assert closed_with(port, b"x" * MAX_MESSAGE_BYTES) == NOT_LOGGED_IN
    assert closed_with(port, b"x" * (MAX_MESSAGE_BYTES + 1)) is None


def closed_with(port: int, payload: bytes) -> int | None:
    """Open a socket without a session and send one message with the handshake.

    Returns the code that the application closes with; None when the server drops the connection.
    """
    key = base64.b64encode(secrets.token_bytes(16))
    handshake = (
        b"GET /ws/activity HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n"
        b"Origin: " + settings.BASE_URL.encode() + b"\r\n\r\n"
    )
    # Final text frame, 16-bit length, masked with zeros (RFC 6455, 5.2).
    frame = b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload
    answer = asked(port, handshake + frame)
    head, _, frames = answer.partition(b"\r\n\r\n")
    if not frames:
        return None
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert frames[0] == 0x88, frames
    return int.from_bytes(frames[2:4], "big")
