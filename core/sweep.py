"""Sweeps: rows that have become due, found batch by batch by periodic tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.db import Scope, tenant_atomic


def due_batches(
    due: Callable[[], QuerySet[Any]], *, by: str, batch: int
) -> Iterator[list[tuple[UUID, UUID]]]:
    """The ids of merchants' rows that are due, each with its merchant's; the longest due first.

    A run goes on behind the last row that it saw: rows that are still due afterwards, because they
    wait or refuse, do not keep it from those behind them. Each batch is read in a transaction of
    its own, which is over when the batch is handed out.

    Args:
        due: the rows that are due, queried again for each batch.
        by: the column with the time since when they are.
    """
    behind = Q()
    while True:
        with tenant_atomic(Scope.worker()):
            rows = due().filter(behind).order_by(by, "id")
            found = list(rows.values_list(by, "id", "merchant_id")[:batch])
        yield [(row_id, merchant_id) for _, row_id, merchant_id in found]
        if len(found) < batch:
            return
        at, last, _ = found[-1]
        # The bound alone is what an index on the time can begin at.
        behind = Q(**{f"{by}__gte": at}) & (Q(**{f"{by}__gt": at}) | Q(**{by: at}, id__gt=last))
