"""The saga's states and the moves between them; whatever is not in the table cannot happen.

CREATED → VALIDATED → AUTHORIZED → SETTLED
    any of the first three → FAILED, CANCELLED, EXPIRED
"""

from __future__ import annotations

from typing import Final

from django.db import models

from core.errors import Conflict


class IntentState(models.TextChoices):
    """The state of an attempt to move money."""

    CREATED = "CREATED"
    VALIDATED = "VALIDATED"
    AUTHORIZED = "AUTHORIZED"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    CANCELED = "CANCELLED", "Cancelled"
    EXPIRED = "EXPIRED"


class Step(models.TextChoices):
    """What the channel was, or is about to be, asked to do. Written before it is asked."""

    NONE = "", "nothing"
    AUTHORIZE = "authorize", "authorize"
    SETTLE = "settle", "settle"
    VOID = "void", "void"


_S = IntentState
TRANSITIONS: Final[dict[IntentState, frozenset[IntentState]]] = {
    _S.CREATED: frozenset({_S.VALIDATED, _S.FAILED, _S.CANCELED, _S.EXPIRED}),
    _S.VALIDATED: frozenset({_S.AUTHORIZED, _S.SETTLED, _S.FAILED, _S.CANCELED, _S.EXPIRED}),
    _S.AUTHORIZED: frozenset({_S.SETTLED, _S.FAILED, _S.CANCELED, _S.EXPIRED}),
    _S.SETTLED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
}
FINAL: Final = frozenset(state for state, onward in TRANSITIONS.items() if not onward)


class IllegalMove(Conflict):
    """The intent is not in a state from which it can do that."""

    default_code = "intent_state_conflict"


def check_move(current: str, wanted: IntentState) -> None:
    """Raise IllegalMove unless the table allows the move."""
    if wanted not in TRANSITIONS[IntentState(current)]:
        raise IllegalMove(f"An intent that is {current} cannot become {wanted}.")
