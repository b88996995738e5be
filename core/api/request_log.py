"""The request log that integrators read: buffered in the process, written in bulk.

A row per request inside the request would cost every call a commit of its own. The log helps
people to debug and proves nothing, so a process that is killed may lose its last second of it.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections import deque

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest

from core import connections
from core.context import Actor, request_id
from core.db import Scope, tenant_atomic
from core.logging import shown_path
from core.models import RequestLog
from core.pan import mask_card_numbers
from core.rows import new_row

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_MAX_BUFFERED = 20_000
_BATCH = 2_000
_buffer: deque[RequestLog] = deque(maxlen=_MAX_BUFFERED)
_lock = threading.Lock()
_writer: threading.Thread | None = None


def record(
    *, request: HttpRequest, actor: Actor, status: int, error_code: str, started: float
) -> None:
    """Note one finished request; the query string and the body are left out."""
    _buffer.append(
        new_row(
            RequestLog,
            merchant_id=actor.merchant_id,
            reseller_id=actor.reseller_id,
            livemode=actor.livemode,
            request_id=request_id()[:64],
            method=(request.method or "")[:8],
            path=shown_path(request)[:300],
            status=status,
            duration_ms=round((time.perf_counter() - started) * 1000),
            actor_id=actor.id[:64],
            ip=actor.ip,
            error_code=error_code[:64],
            idempotency_key=mask_card_numbers(request.headers.get("Idempotency-Key", ""))[:255],
        )
    )
    _ensure_writer()


def flush() -> int:
    """Write what is buffered, 2,000 rows at most; returns how many.

    A connection that was lost meanwhile is replaced at once: this thread serves no requests, so
    Django never looks whether its connection still works. Where the database is away the rows stay
    in the buffer, which forgets its newest when it is full.

    Raises:
        OperationalError, InterfaceError: the database is away; nothing was lost.
        DatabaseError: it does not take these rows, and they are gone.
    """
    rows: list[RequestLog] = []
    while _buffer and len(rows) < _BATCH:
        rows.append(_buffer.popleft())
    if not rows:
        return 0
    try:
        try:
            _write(rows)
        except (OperationalError, InterfaceError) as error:
            # One new connection, and no waiting: the next round comes in a second.
            connections.regain(error, ends_at=time.monotonic())
            _write(rows)
    except (OperationalError, InterfaceError) as error:
        if connections.is_lost(error):
            _buffer.extendleft(reversed(rows))
        raise
    return len(rows)


def _write(rows: list[RequestLog]) -> None:
    with tenant_atomic(Scope.intake()):
        # The commit of a connection that broke may have been made.
        RequestLog.objects.bulk_create(rows, ignore_conflicts=True)


def _ensure_writer() -> None:
    global _writer
    if _writer is None or not _writer.is_alive():
        with _lock:
            if _writer is None or not _writer.is_alive():
                writer = threading.Thread(target=_run, name="request-log", daemon=True)
                try:
                    writer.start()
                except RuntimeError as error:
                    # No more threads: the request is answered, and the next one tries again.
                    log.warning("request_log.no_thread", error=str(error))
                    return
                _writer = writer
                atexit.register(_last_flush)


def _run() -> None:
    while True:
        time.sleep(_EVERY_S)
        try:
            while flush() == _BATCH:
                pass
        except (DatabaseError, InterfaceError) as error:
            log.warning("request_log.not_written", error=type(error).__name__)
            connections.drop()


def _last_flush() -> None:
    # At interpreter exit a failure can no longer be logged.
    with contextlib.suppress(DatabaseError, InterfaceError):
        flush()
