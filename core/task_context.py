"""Carry the request id from the publisher of a Celery task into the worker that runs it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from celery.signals import before_task_publish, task_postrun, task_prerun

from core.context import bind_request_id, request_id

_HEADER = "merchantry_request_id"
_open: dict[str, AbstractContextManager[None]] = {}


@before_task_publish.connect(weak=False)
def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    current = request_id()
    if headers is not None and current:
        headers[_HEADER] = current


@task_prerun.connect(weak=False)
def _enter(task_id: str = "", task: Any = None, **_: Any) -> None:
    # A task that nobody's request started (beat) is its own beginning.
    carried = getattr(task.request, _HEADER, None) or f"task_{task_id}"
    binding = bind_request_id(str(carried))
    binding.__enter__()
    _open[task_id] = binding


@task_postrun.connect(weak=False)
def _leave(task_id: str = "", **_: Any) -> None:
    binding = _open.pop(task_id, None)
    if binding is not None:
        binding.__exit__(None, None, None)
