"""The states of a checkout session; every change goes through the table.

open → processing | expired;  processing → open (declined, given up) | complete
"""

from __future__ import annotations

from typing import Final

from django.db import models

from core.errors import Conflict


class SessionStatus(models.TextChoices):
    """What a merchant sees of a session."""

    OPEN = "open", "Open"
    PROCESSING = "processing", "Processing"
    COMPLETE = "complete", "Complete"
    EXPIRED = "expired", "Expired"


_S = SessionStatus
SESSION_MOVES: Final[dict[str, frozenset[SessionStatus]]] = {
    _S.OPEN: frozenset({_S.PROCESSING, _S.EXPIRED}),
    _S.PROCESSING: frozenset({_S.OPEN, _S.COMPLETE}),
    _S.COMPLETE: frozenset(),
    _S.EXPIRED: frozenset(),
}


class SessionStateConflict(Conflict):
    """The session's state does not allow what was asked."""

    default_code = "checkout_session_state_conflict"


def check_session_move(current: str, wanted: SessionStatus) -> None:
    """Raise SessionStateConflict unless the table allows the move."""
    if wanted not in SESSION_MOVES[current]:
        raise SessionStateConflict(f"A checkout session that is {current} cannot become {wanted}.")
