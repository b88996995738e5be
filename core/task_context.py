"""What surrounds a Celery task: the request id of its publisher, and a deadline.

The deadline is the task's soft time limit: what waits in it gives up before the limit's signal.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from celery import current_app
from celery.signals import before_task_publish, task_postrun, task_prerun

from core import deadline
from core.context import bind_request_id, request_id

_HEADER = "merchantry_request_id"
_open: dict[str, ExitStack] = {}


@before_task_publish.connect(weak=False)
def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    current = request_id()
    if headers is not None and current:
        headers[_HEADER] = current


@task_prerun.connect(weak=False)
def _enter(task_id: str = "", task: Any = None, **_: Any) -> None:
    # A task that no request started (beat) gets a request id of its own.
    carried = getattr(task.request, _HEADER, None) or f"task_{task_id}"
    surroundings = ExitStack()
    surroundings.enter_context(bind_request_id(str(carried)))
    app = getattr(task, "app", current_app)
    limit_s = getattr(task, "soft_time_limit", None) or app.conf.task_soft_time_limit
    if limit_s:
        surroundings.enter_context(deadline.within(float(limit_s)))
    _open[task_id] = surroundings


@task_postrun.connect(weak=False)
def _leave(task_id: str = "", **_: Any) -> None:
    surroundings = _open.pop(task_id, None)
    if surroundings is not None:
        surroundings.close()
