"""The one place where rows of the ledger are locked (accounts: in `sql/`)."""

from __future__ import annotations

from core.db import fetch_all
from ledger.models import Checkpoint


def lock_checkpoint() -> Checkpoint:
    """The one row, locked: it comes before the sums, so that two runs cannot deadlock on them."""
    fetch_all(
        "INSERT INTO ledger_checkpoint (id, up_to) VALUES (1, 0) ON CONFLICT DO NOTHING RETURNING 1"
    )
    return Checkpoint.objects.select_for_update().get(id=1)
