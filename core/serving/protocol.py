"""uvicorn's HTTP protocol, with the limits that it leaves to a proxy in front.

A connection on the event loop holds no thread, but it holds memory and a socket. So headers have
limits of size and time, and a reader who takes nothing has one of time. The entry has limits of its
own; these hold for a server that runs without it. The body's are the gate's (`web.py`).

A request names its target by path and query alone. uvicorn would answer `GET http://other/v1/x` as
`/v1/x` and drop a fragment, so that what is signed, logged and compared were not what was sent.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: The most bytes of headers that come in more than one piece, as at the entry.
MAX_HEAD_BYTES: Final = 32_768
#: They are there within this, from the connection's beginning or their own first byte.
HEAD_WITHIN_S: Final = 5.0
#: A reader who lets our buffer stay full for so long has gone.
READ_WITHIN_S: Final = 30.0


class _JoinedWrites(asyncio.Transport):
    """A transport that sends the pieces written in one turn of the event loop together.

    uvicorn writes an answer's head and its body apart, and each write is a system call that wakes
    the reader. What uvicorn asks of a transport is here; the rest of asyncio's methods is refused.
    """

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """asyncio's method; sent by `flush`, at the latest in the loop's next turn."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """asyncio's method: what was written goes out first."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


class _OtherTarget(ValueError):
    """A request target that is not a path with a query; the parser makes a 400 of it."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose headers are late, too large or of another target than a path, or
    whose reader is gone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """asyncio's hook: a connection that says nothing ends too."""
        self._writes = _JoinedWrites(transport, self.loop)
        super().connection_made(self._writes)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's hook."""
        self._stop_head_timer()
        self._stop_read_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio's hook: most requests come whole, and set no timer."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._head_timer is None:
            self._await_head()
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """The parser's hook: the first byte of a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The parser's hook."""
        self._in_head = False
        self._stop_head_timer()
        # RFC 9112, 3.2: of its four forms only proxies need the absolute one; the entry sends the
        # origin form, whatever it was sent itself. No form has a fragment.
        if not self.url.startswith(b"/") or b"#" in self.url:
            raise _OtherTarget
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """uvicorn's hook: the last piece of an answer is written."""
        self._writes.flush()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """asyncio's hook: our buffer is full."""
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """asyncio's hook: the reader has taken some of it."""
        self._stop_read_timer()
        super().resume_writing()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._refuse, b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status
            )
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
