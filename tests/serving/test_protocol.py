"""What the server itself does to a connection that keeps it waiting; over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import uvicorn

from core.serving import protocol
from core.serving.web import WebGate
from tests.core.support import eventually

#: Ends what hangs; nothing here takes a second.
LIMIT_S = 60.0
GET = b"GET /once HTTP/1.1\r\nHost: test\r\n\r\n"


def echo(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with the length of the body."""
    content = str(len(environ["wsgi.input"].read())).encode()
    start("200 OK", [("Content-Length", str(len(content)))])
    return [content]


class Endless:
    """A streaming answer without an end, and whether it was ended."""

    streaming = True

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * 1_000

    def close(self) -> None:
        self.closed.set()


@contextlib.contextmanager
def serving(app: Any, *, body_within_s: float = LIMIT_S) -> Iterator[int]:
    """uvicorn as in production, around a WSGI application; yields its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            WebGate(app, slots=2, body_within_s=body_within_s),
            loop="uvloop",
            http=protocol.BoundedProtocol,
            ws="none",
            log_config=None,
            server_header=False,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)
        listening.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        yield connection


def until_closed(connection: socket.socket) -> bytes:
    """All that the server says before it closes the connection."""
    said = b""
    while piece := connection.recv(65_536):
        said += piece
    return said


def answer(connection: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65_536)
    return said


@pytest.fixture
def short_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_WITHIN_S", 0.2)


def test_a_connection_is_kept_from_one_request_to_the_next() -> None:
    with serving(echo) as port, connected(port) as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert answer(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: te"])
def test_headers_that_do_not_come_end_the_connection(short_head: None, said: bytes) -> None:
    with serving(echo) as port, connected(port) as connection:
        connection.sendall(said)
        assert until_closed(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_in_pieces_have_a_time_in_all(short_head: None) -> None:
    with serving(echo) as port, connected(port) as connection:
        with contextlib.suppress(OSError):
            for byte in b"GET / HTTP/1.1\r\nX-Slow: " + b"y" * 10_000:
                connection.sendall(bytes([byte]))
                time.sleep(0.005)
        with contextlib.suppress(ConnectionResetError):
            assert until_closed(connection).startswith(b"HTTP/1.1 408 ")


def test_endless_headers_are_refused() -> None:
    with serving(echo) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for number in range(10_000):
                connection.sendall(b"X-%d: %b\r\n" % (number, b"y" * 1_000))
        with contextlib.suppress(ConnectionResetError):
            assert until_closed(connection).startswith(b"HTTP/1.1 431 ")


def test_a_late_body_is_answered_and_its_connection_closed() -> None:
    with serving(echo, body_within_s=0.2) as port, connected(port) as connection:
        connection.sendall(b"POST /v1/x HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n1")
        said = until_closed(connection)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"body_timeout" in said


def test_a_request_that_is_none_is_answered_with_400() -> None:
    with serving(echo) as port, connected(port) as connection:
        connection.sendall(b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n")
        assert until_closed(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://test/once HTTP/1.1",
        b"GET http://other.example/once?x=1 HTTP/1.1",
        b"GET HTTPS://test/once HTTP/1.1",
        b"CONNECT test:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET /once#x HTTP/1.1",
    ],
    ids=lambda line: line.decode().rpartition(" ")[0],
)
def test_a_target_that_is_no_path_never_reaches_the_application(line: bytes) -> None:
    asked: list[str] = []

    def noting(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked.append(environ["RAW_URI"])
        return echo(environ, start)

    with serving(noting) as port, connected(port) as connection:
        connection.sendall(line + b"\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert until_closed(connection).startswith(b"HTTP/1.1 400 ")
    assert asked == []


@pytest.mark.parametrize("target", ["/v1/%69ntents/%C3%BC?x=%41", "//test/once", "/?a=http://b/"])
def test_a_path_reaches_the_application_as_it_stood_on_the_wire(target: str) -> None:
    asked: list[str] = []

    def noting(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked.append(environ["RAW_URI"])
        return echo(environ, start)

    with serving(noting) as port, connected(port) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert answer(connection).startswith(b"HTTP/1.1 200 OK")
    assert asked == [target]


@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "reads nothing"])
def test_an_answer_ends_with_its_reader(monkeypatch: pytest.MonkeyPatch, leaves: bool) -> None:
    monkeypatch.setattr(protocol, "READ_WITHIN_S", 0.2)
    stream = Endless()

    def endless(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return stream

    with serving(endless) as port, connected(port) as connection:
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200 OK")
        if leaves:
            connection.close()
        assert stream.closed.wait(LIMIT_S)


async def test_a_connection_at_rest_owes_no_headers() -> None:
    made, transport = new_connection()

    def timed_after(data: bytes) -> bool:
        made.data_received(data)
        return made._head_timer is not None

    assert [timed_after(data) for data in (GET, GET[:10], GET[10:], GET)] == [
        False,
        True,
        False,
        False,
    ]
    assert transport.written == b""


async def test_the_header_timer_ends_with_the_connection() -> None:
    """A timer left behind would keep each closed connection in memory for its time."""
    made, _ = new_connection()
    timer = made._head_timer
    assert timer is not None
    made.connection_lost(None)
    assert timer.cancelled()


def new_connection() -> tuple[protocol.BoundedProtocol, _Transport]:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    made = protocol.BoundedProtocol(uvicorn.Config(silent, log_config=None), _State(), {})
    transport = _Transport()
    made.connection_made(transport)
    return made, transport


class _State:
    """What uvicorn's server shares with its connections."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.default_headers: list[tuple[bytes, bytes]] = []
        self.total_requests = 0


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Sent:
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.calls


def test_what_is_written_in_one_turn_of_the_loop_is_sent_together() -> None:
    async def answer() -> list[bytes | str]:
        sent: Any = _Sent()
        writes = protocol._JoinedWrites(sent, asyncio.get_running_loop())
        writes.write(b"head ")
        writes.write(b"body")
        assert not sent.calls
        await asyncio.sleep(0)
        writes.write(b"next")
        writes.flush()
        writes.write(b"last")
        writes.close()
        await asyncio.sleep(0)
        assert writes.is_closing()
        return list(sent.calls)

    assert asyncio.run(answer()) == [b"head body", b"next", b"last", "closed"]
