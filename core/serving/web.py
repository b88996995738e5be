"""The ASGI application of the web process: whole requests, a fair turn, Django in a thread.

A server hands each request over when its headers are there. The body is read here, by the event
loop and within a deadline, so that a sender who never ends holds no thread. The request then waits
for a slot of its tenant (`slots.py`) and runs Django's WSGI handler in a thread: the views are
synchronous, with one database connection a thread.

Whose turn a request takes is in `callers.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connections

from core import deadline
from core.errors import Unavailable
from core.serving import refusals, slots
from core.serving.callers import Caller, caller_of, current, known_tenants
from core.serving.environ import Environ, RepeatedHeader, environ, read_headers
from core.serving.refusals import Refusal

log = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
RawHeaders = list[tuple[bytes, bytes]]

#: Above every limit of ours for a body held in memory (the API takes 256 KiB, forms 1 MiB).
MAX_BODY_BYTES: Final = 2_097_152
#: All bodies together that have arrived, or are arriving, and have no answer yet.
MAX_HELD_BYTES: Final = 134_217_728
#: A body of the largest size arrives within this on a slow mobile line (1.7 Mbit/s).
BODY_WITHIN_S: Final = 10.0
#: A reader that takes no piece of an answer for so long has gone.
PIECE_WITHIN_S: Final = 30.0
#: Answers whose readers are slow, beside those who wait for providers, that give their slot back.
SLOW_READERS: Final = 8
#: What runs when the process is asked to stop may end.
DRAIN_WITHIN_S: Final = 15.0


class WebGate:
    """Runs a WSGI application behind an ASGI server.

    Args:
        app: Django's WSGI handler.
        slots: requests that run at once; one more is kept for `/health/` alone.
    """

    def __init__(self, app: WsgiApp, *, slots: int, body_within_s: float = BODY_WITHIN_S) -> None:
        self._app = app
        self._body_within_s = body_within_s
        self._held_bytes = 0
        self.pool = _pool(slots)
        self._health = _pool(1)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            # Websockets have a process of their own (config/asgi.py).
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        held = 0
        try:
            headers = read_headers(scope["headers"])
            body = await self._body(headers, receive)
            if body is None:
                return
            held = len(body)
            request = _Request(
                environ=environ(scope, headers, body),
                loop=asyncio.get_running_loop(),
                receive=receive,
                send=send,
                arrived=time.monotonic(),
                caller=caller_of(scope, headers),
            )
            pool = self._health if scope["path"].startswith("/health/") else self.pool
            pool.submit(request.caller.queue(), lambda: self._run(request))
            answer = await request.answered()
        except RepeatedHeader as repeated:
            answer = refusals.repeated_header(repeated.name).answer(path=scope["path"])
        except slots.PoolBusy:
            answer = refusals.BUSY.answer(path=scope["path"])
        except Refusal as refusal:
            answer = refusal.answer(path=scope["path"])
        finally:
            self._held_bytes -= held
        if answer is not None:
            status, lines, content = answer
            await send({"type": "http.response.start", "status": status, "headers": lines})
            content = b"" if scope["method"] == "HEAD" else content
            await send({"type": "http.response.body", "body": content})

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        """The whole body; None when the sender has gone.

        Raises:
            Refusal: too long, too late, or too much memory is held by others.
        """
        declared = headers.get(b"content-length")
        if declared is None and b"transfer-encoding" not in headers:
            return b""
        if declared is not None and (not declared.isdigit() or int(declared) > MAX_BODY_BYTES):
            raise refusals.too_large(MAX_BODY_BYTES)
        pieces: list[bytes] = []
        size, whole = 0, False
        with _Limit(self._body_within_s):
            try:
                while not whole:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece: bytes = message.get("body", b"")
                    size += len(piece)
                    self._held_bytes += len(piece)
                    if size > MAX_BODY_BYTES:
                        raise refusals.too_large(MAX_BODY_BYTES)
                    if self._held_bytes > MAX_HELD_BYTES:
                        raise refusals.BUSY
                    pieces.append(piece)
                    whole = not message.get("more_body", False)
            finally:
                if not whole:
                    self._held_bytes -= size
        return b"".join(pieces)

    def _run(self, request: _Request) -> None:
        """Answer in this thread of the pool."""
        request.begun = True
        left_s = settings.REQUEST_DEADLINE_S - (time.monotonic() - request.arrived)
        if left_s <= 0:
            request.finish(refusals.BUSY.answer(path=request.path))
            return
        token = current.set(request.caller)
        try:
            request.answer(self._app, within_s=left_s)
        except Unavailable:
            # Its tenant's turn did not come in time.
            request.finish(refusals.BUSY.answer(path=request.path))
        except BaseException:
            # The loop waits for an answer; in a thread SystemExit ends nothing else.
            log.exception("web.handler_failed")
            request.finish(refusals.FAILED.answer(path=request.path))
        finally:
            current.reset(token)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self.pool.drain, within_s=DRAIN_WITHIN_S)
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})


class _Limit:
    """Ends the wait of the current task with `BODY_LATE`; a fifth of `asyncio.timeout`'s cost."""

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._passed = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._pass)

    def _pass(self) -> None:
        if self._task is not None:
            self._passed = True
            self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._passed and kind is asyncio.CancelledError and self._task is not None:
            self._task.uncancel()
            raise refusals.BODY_LATE from None


Answer = tuple[int, RawHeaders, bytes]


class _Request:
    """One request between the event loop and a thread."""

    def __init__(
        self,
        *,
        environ: Environ,
        loop: asyncio.AbstractEventLoop,
        receive: Receive,
        send: Send,
        arrived: float,
        caller: Caller,
    ) -> None:
        self._environ = environ
        self._loop = loop
        self._receive = receive
        self._send = send
        self.arrived = arrived
        self.caller = caller
        #: The answer; None where it was sent in pieces.
        self.done: asyncio.Future[Answer | None] = loop.create_future()
        self.begun = False

    async def answered(self) -> Answer | None:
        """The answer; `BUSY` for a request whose turn has not come while it had time.

        A thread that takes it up later finds its time over, and does nothing.
        """
        late = self._loop.call_later(settings.REQUEST_DEADLINE_S, self._give_up)
        try:
            return await self.done
        finally:
            late.cancel()

    def _give_up(self) -> None:
        if not self.begun and not self.done.done():
            self.done.set_result(refusals.BUSY.answer(path=self.path))

    @property
    def path(self) -> str:
        return str(self._environ["PATH_INFO"])

    def answer(self, app: WsgiApp, *, within_s: float) -> None:
        """Run the application; the thread's part. Each piece of a stream has a time of its own."""
        head = _Head()
        with deadline.within(within_s):
            result = app(self._environ, head)
        if head.status == HTTPStatus.UNAUTHORIZED:
            known_tenants.forget(self.caller.credential)
        try:
            if getattr(result, "streaming", False):
                self._stream(head, result)
            else:
                self.finish((head.status, head.lines, b"".join(result)))
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def finish(self, answer: Answer | None) -> None:
        """Hand the answer to the loop; a second one is dropped."""

        def set_result() -> None:
            if not self.done.done():
                self.done.set_result(answer)

        self._loop.call_soon_threadsafe(set_result)

    def _stream(self, head: _Head, pieces: Iterable[bytes]) -> None:
        """Send an answer while it is made; the slot is free while the reader takes a piece."""
        gone = asyncio.run_coroutine_threadsafe(self._gone(), self._loop)
        try:
            self._put({"type": "http.response.start", "status": head.status, "headers": head.lines})
            for piece in pieces:
                if gone.done():
                    raise ConnectionAbortedError
                self._put({"type": "http.response.body", "body": piece, "more_body": True})
            self._put({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError, RuntimeError) as error:
            log.info("web.reader_gone", error=type(error).__name__)
            self._fail(error)
        except Exception as error:
            # The head has gone out: only a broken connection can say that the rest is missing.
            self._fail(error)
            raise
        else:
            self.finish(None)
        finally:
            gone.cancel()

    async def _gone(self) -> None:
        """Ends when the reader has gone: a server may drop what is sent to it then in silence."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _put(self, message: Message) -> None:
        with slots.waiting():
            sent = asyncio.run_coroutine_threadsafe(self._sent(message), self._loop)
            try:
                sent.result(PIECE_WITHIN_S)
            except TimeoutError:
                sent.cancel()
                raise

    async def _sent(self, message: Message) -> None:
        await self._send(message)

    def _fail(self, error: Exception) -> None:
        def set_exception() -> None:
            if not self.done.done():
                self.done.set_exception(ConnectionAbortedError(type(error).__name__))

        self._loop.call_soon_threadsafe(set_exception)


@dataclass(slots=True)
class _Head:
    """WSGI's `start_response`."""

    status: int = 500
    lines: RawHeaders = field(default_factory=list)

    def __call__(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None
    ) -> None:
        self.status = int(status[:3])
        self.lines = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]


def _pool(slots_: int) -> slots.FairPool:
    return slots.FairPool(
        slots=slots_,
        # Everyone who may wait for a provider finds a thread, and so do some slow readers.
        parked=settings.PROVIDER_WAITS_MAX + SLOW_READERS,
        on_thread_end=connections.close_all,
    )
