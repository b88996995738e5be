"""The one place where rows of the ledger are locked (accounts: in `sql/`)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.db import fetch_all
from ledger.models import Checkpoint, ClusterNote


def lock_checkpoint() -> Checkpoint:
    """The one row, locked: it comes before the sums, so that two runs cannot deadlock on them."""
    fetch_all(
        "INSERT INTO ledger_checkpoint (id, up_to) VALUES (1, 0) ON CONFLICT DO NOTHING RETURNING 1"
    )
    return Checkpoint.objects.select_for_update().get(id=1)


def lock_open_notes(ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of the notes that are not confirmed; their ids, in the order of the locks."""
    rows = ClusterNote.objects.select_for_update().filter(id__in=ids, confirmed_at__isnull=True)
    return list(rows.order_by("id").values_list("id", flat=True))
