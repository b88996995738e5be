"""What an answer means for an intent: a pure decision, the same for every bringer of the answer."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils import timezone

from payments.intents.channels.base import ChannelAnswer, Outcome
from payments.intents.models import Intent, Operation
from payments.intents.states import FINAL, IntentState, Step

#: When an answer that is not final is looked at again (Kill Bill's rhythm for UNKNOWN).
CHECK_AFTER: Final = (dt.timedelta(minutes=5), dt.timedelta(hours=1), dt.timedelta(days=1))
#: After so long without an answer a person looks at it (the exceptions inbox).
EXCEPTION_AFTER: Final = dt.timedelta(hours=24)
#: A payer who has not answered the challenge by now has left. Counted from the intent's creation.
ACTION_EXPIRES_AFTER: Final = dt.timedelta(hours=1)
#: Card schemes release a hold after seven days; ours ends with it. Counted from the creation too.
HOLD_EXPIRES_AFTER: Final = dt.timedelta(days=7)


_EXPIRED_HOLD: Final = (
    "authorization_expired",
    "The authorization was not captured in time; the hold on the card was released.",
)
_EXPIRED_ACTION: Final = (
    "authentication_expired",
    "The payer did not finish the authentication in time; nothing was charged.",
)


@dataclass(frozen=True, slots=True)
class Move:
    """A new state (or None) and the columns that change with it."""

    state: IntentState | None = None
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        return self.state is not None or bool(self.values)


NOTHING: Final = Move()


def decide(intent: Intent, answer: ChannelAnswer) -> Move:
    """Judge an answer against the intent as it stands.

    Late and repeated answers give `NOTHING`. A success that arrives for an intent that we gave up
    is money that the books do not know: it goes to the exceptions inbox, never to a silent change.
    """
    if intent.state in FINAL:
        return _after_the_end(intent, answer)
    if answer.outcome is Outcome.SUCCEEDED and answer.captured_minor > 0:
        return _settled(intent, answer)
    if answer.canceled:
        return _canceled(intent, answer)
    if answer.refused:
        return _refused(intent, answer)
    if answer.outcome is Outcome.FAILED:
        return _ended(IntentState.FAILED, answer)
    if intent.state == IntentState.AUTHORIZED:
        return _held(intent, answer)
    if answer.outcome is Outcome.SUCCEEDED:
        return _authorized(intent, answer)
    if answer.outcome is Outcome.REQUIRES_ACTION:
        return _requires_action(intent, answer)
    return _wait(intent, answer)


def hold_ends_at(intent: Intent) -> dt.datetime:
    """When a hold that nobody captured is given up."""
    return intent.created_at + HOLD_EXPIRES_AFTER


def action_ends_at(intent: Intent) -> dt.datetime:
    """When a challenge that nobody answered is given up."""
    return intent.created_at + ACTION_EXPIRES_AFTER


def _settled(intent: Intent, answer: ChannelAnswer) -> Move:
    values: dict[str, Any] = {
        **_learnt(answer),
        "settled_amount_minor": min(answer.captured_minor, intent.amount_minor),
        **_AT_REST,
    }
    if answer.captured_minor > intent.amount_minor:
        # The payer has lost more than the books may know: a person gives the rest back.
        values |= {
            "exception_at": timezone.now(),
            "failure_code": "captured_too_much",
            "failure_message": f"The provider captured {answer.captured_minor}, more than was"
            " asked for.",
        }
    return Move(IntentState.SETTLED, values)


def _authorized(intent: Intent, answer: ChannelAnswer) -> Move:
    return Move(
        IntentState.AUTHORIZED,
        {**_learnt(answer), **_AT_REST, "next_check_at": hold_ends_at(intent)},
    )


def _held(intent: Intent, answer: ChannelAnswer) -> Move:
    """News that are no end, about a hold that stands: they came late, or confirm it.

    While a settle or void is under way (the poller repeats it), and where nobody knows, the next
    look comes soon; otherwise when the hold's time is up.
    """
    ends_at = hold_ends_at(intent)
    overdue = ends_at <= timezone.now()
    if intent.step or answer.outcome is Outcome.UNKNOWN or overdue:
        return _wait(intent, answer)
    if intent.next_check_at == ends_at:
        return NOTHING
    return Move(None, {"next_check_at": ends_at, "checks": 0, "exception_at": None})


def _requires_action(intent: Intent, answer: ChannelAnswer) -> Move:
    """The payer's turn: our call has its answer, and the next look is when the time is up."""
    if intent.step == Step.VOID:
        return _wait(intent, answer)
    values = {
        "step": Step.NONE,
        "next_action_url": answer.next_action_url,
        "next_check_at": action_ends_at(intent),
    }
    if all(getattr(intent, name) == value for name, value in values.items()):
        return NOTHING
    return Move(None, {**_learnt(answer), **values, "checks": 0})


def _canceled(intent: Intent, answer: ChannelAnswer) -> Move:
    """Given up at the channel: because somebody asked for it, or because its time was up."""
    held = intent.state == IntentState.AUTHORIZED
    ends_at = hold_ends_at(intent) if held else action_ends_at(intent)
    if ends_at > timezone.now():
        asked = intent.step == Step.VOID
        return _ended(IntentState.CANCELLED if asked else IntentState.EXPIRED, answer)
    code, message = _EXPIRED_HOLD if held else _EXPIRED_ACTION
    return _ended(
        IntentState.EXPIRED,
        dataclasses.replace(answer, failure_code=code, failure_message=message),
    )


def _ended(state: IntentState, answer: ChannelAnswer) -> Move:
    return Move(
        state,
        {
            **_learnt(answer),
            "failure_code": answer.failure_code,
            "failure_message": answer.failure_message[:300],
            **_AT_REST,
        },
    )


def _refused(intent: Intent, answer: ChannelAnswer) -> Move:
    """The channel turned a request down. A hold stays a hold; an attempt without one is over."""
    if intent.state != IntentState.AUTHORIZED and intent.step != Step.VOID:
        return _ended(IntentState.FAILED, answer)
    now = timezone.now()
    values: dict[str, Any] = {
        "step": Step.NONE,
        "checks": intent.checks + 1,
        "next_check_at": now + CHECK_AFTER[min(intent.checks, len(CHECK_AFTER) - 1)],
    }
    if hold_ends_at(intent) <= now and intent.exception_at is None:
        # We want it to end and the provider does not: that is for a person to look at.
        values["exception_at"] = now
    return Move(None, values)


def _wait(intent: Intent, answer: ChannelAnswer) -> Move:
    """Pending or unknown: look again later, and at last let a person look."""
    now = timezone.now()
    delay = CHECK_AFTER[min(intent.checks, len(CHECK_AFTER) - 1)]
    values: dict[str, Any] = {
        **_learnt(answer),
        "checks": intent.checks + 1,
        "next_check_at": now + delay,
    }
    if intent.next_action_url and answer.outcome is Outcome.PENDING:
        values["next_action_url"] = ""
    if intent.exception_at is None and now - intent.created_at >= EXCEPTION_AFTER:
        values["exception_at"] = now
    return Move(None, values)


def _after_the_end(intent: Intent, answer: ChannelAnswer) -> Move:
    if intent.exception_at is not None:
        return NOTHING
    gave_up = intent.state != IntentState.SETTLED
    if gave_up and answer.captured_minor > 0:
        return _for_a_person(
            "captured_after_end", "The provider captured this attempt after it had ended here."
        )
    # A payment's failure arrives late from before its success; a refund's comes days after it,
    # when the payer's bank sends the money back.
    returned = intent.operation == Operation.REFUND and answer.outcome is Outcome.FAILED
    if returned and not gave_up and not answer.refused:
        return _for_a_person(
            "refund_returned", "The provider says that this refund failed after it had succeeded."
        )
    return NOTHING


def _for_a_person(code: str, message: str) -> Move:
    return Move(
        None, {"exception_at": timezone.now(), "failure_code": code, "failure_message": message}
    )


def _learnt(answer: ChannelAnswer) -> dict[str, Any]:
    """What any answer may teach: the channel's id, and the card behind the token."""
    values: dict[str, Any] = {}
    if answer.external_id:
        values["external_id"] = answer.external_id
    if answer.card:
        values["card"] = dict(answer.card)
    return values


_AT_REST: Final[dict[str, Any]] = {
    "step": Step.NONE,
    "next_action_url": "",
    "next_check_at": None,
    "exception_at": None,
    "checks": 0,
}
