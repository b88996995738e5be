"""What an answer means for an intent: a pure decision, the same for every bringer of the answer."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Final, NotRequired, TypedDict

from django.utils import timezone

from payments.intents.channels.base import Card, ChannelAnswer, Outcome
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

#: The line in `Intent.exceptions` by which a person closes the lines before it.
RESOLVED: Final = "resolved"
#: Reasons that are a condition and no event: while it lasts, it comes back after a person's note.
_LASTING: Final = frozenset({"no_answer", "look_failed"})

_EXPIRED_HOLD: Final = (
    "authorization_expired",
    "The authorization was not captured in time; the hold on the card was released.",
)
_EXPIRED_ACTION: Final = (
    "authentication_expired",
    "The payer did not finish the authentication in time; nothing was charged.",
)


class ExceptionLine(TypedDict):
    """A line of `Intent.exceptions`; `by` names the person of a line that resolves."""

    at: str
    code: str
    message: str
    by: NotRequired[str]


class Columns(TypedDict, total=False):
    """Columns of an intent that an answer changes beside its state, under their names."""

    step: str
    steps: int
    checks: int
    next_check_at: dt.datetime | None
    next_action_url: str
    action_left_at: dt.datetime
    settled_amount_minor: int
    external_id: str
    card: Card
    told_at: dt.datetime
    failure_code: str
    failure_message: str
    exception_at: dt.datetime | None
    exceptions: list[ExceptionLine]


@dataclass(frozen=True, slots=True)
class Move:
    """A new state (or None) and the columns that change with it."""

    state: IntentState | None = None
    values: Columns = field(default_factory=Columns)

    @property
    def changes(self) -> bool:
        return self.state is not None or bool(self.values)


NOTHING: Final = Move()


def decide(intent: Intent, answer: ChannelAnswer) -> Move:
    """Judge an answer against the intent's present state.

    Late and repeated answers give `NOTHING`. A success that arrives for an intent that we gave up
    is money that the books do not know: it goes to the exceptions inbox, never to a silent change.
    """
    if intent.state in FINAL:
        return _after_the_end(intent, answer)
    if _is_late(intent, answer):
        return NOTHING
    if answer.outcome is Outcome.SUCCEEDED and answer.captured_minor > 0:
        return _settled(intent, answer)
    if answer.canceled:
        return _canceled(intent, answer)
    if answer.refused:
        return _refused(intent, answer)
    if answer.outcome is Outcome.FAILED:
        return _ended(intent, IntentState.FAILED, answer)
    if intent.state == IntentState.AUTHORIZED:
        return _held(intent, answer)
    if answer.outcome is Outcome.SUCCEEDED:
        return _authorized(intent, answer)
    if answer.outcome is Outcome.REQUIRES_ACTION:
        return _requires_action(intent, answer)
    return _wait(intent, answer)


def hold_ends_at(intent: Intent) -> dt.datetime:
    """When a hold that was not captured is given up."""
    return intent.created_at + HOLD_EXPIRES_AFTER


def action_ends_at(intent: Intent) -> dt.datetime:
    """When a challenge that the payer did not answer is given up."""
    return intent.created_at + ACTION_EXPIRES_AFTER


def _settled(intent: Intent, answer: ChannelAnswer) -> Move:
    values: Columns = {
        **_learnt(intent, answer),
        "settled_amount_minor": min(answer.captured_minor, intent.amount_minor),
        **_AT_REST,
    }
    if answer.captured_minor > intent.amount_minor:
        # The payer has lost more than the books may know: a person gives the rest back.
        values |= _contradicted(
            intent,
            "captured_too_much",
            f"The provider captured {answer.captured_minor}, more than was asked for.",
        )
    return Move(IntentState.SETTLED, values)


def _authorized(intent: Intent, answer: ChannelAnswer) -> Move:
    return Move(
        IntentState.AUTHORIZED,
        {**_learnt(intent, answer), **_AT_REST, "next_check_at": hold_ends_at(intent)},
    )


def _held(intent: Intent, answer: ChannelAnswer) -> Move:
    """An answer that does not end a present hold: it came late, or confirms it.

    While a settle or void is under way (the poller repeats it), and where the outcome is unknown,
    the next look comes soon; otherwise when the hold's time is up.
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
    if intent.step == Step.VOID or intent.action_left_at is not None:
        return _wait(intent, answer)
    values: Columns = {
        "step": Step.NONE,
        "next_action_url": answer.next_action_url,
        "next_check_at": action_ends_at(intent),
    }
    if all(getattr(intent, name) == value for name, value in values.items()):
        return NOTHING
    return Move(None, {**_learnt(intent, answer), **values, "checks": 0})


def _canceled(intent: Intent, answer: ChannelAnswer) -> Move:
    """Given up at the channel: because a cancellation was requested, or its time was up."""
    held = intent.state == IntentState.AUTHORIZED
    ends_at = hold_ends_at(intent) if held else action_ends_at(intent)
    if ends_at > timezone.now():
        asked = intent.step == Step.VOID
        return _ended(intent, IntentState.CANCELED if asked else IntentState.EXPIRED, answer)
    code, message = _EXPIRED_HOLD if held else _EXPIRED_ACTION
    return _ended(
        intent,
        IntentState.EXPIRED,
        dataclasses.replace(answer, failure_code=code, failure_message=message),
    )


def _ended(intent: Intent, state: IntentState, answer: ChannelAnswer) -> Move:
    return Move(
        state,
        {
            **_learnt(intent, answer),
            "failure_code": answer.failure_code,
            "failure_message": answer.failure_message[:300],
            **_AT_REST,
        },
    )


def _refused(intent: Intent, answer: ChannelAnswer) -> Move:
    """The channel refused a request. A hold stays a hold; an attempt without one is over."""
    if intent.state != IntentState.AUTHORIZED and intent.step != Step.VOID:
        return _ended(intent, IntentState.FAILED, answer)
    now = timezone.now()
    values: Columns = {
        "step": Step.NONE,
        "checks": intent.checks + 1,
        "next_check_at": now + CHECK_AFTER[min(intent.checks, len(CHECK_AFTER) - 1)],
    }
    if hold_ends_at(intent) <= now:
        # We want it to end and the provider does not: that is for a person to look at.
        reason = answer.failure_message or answer.failure_code
        values |= exception(intent, "hold_not_released", f"The provider refused: {reason}")
    return Move(None, values)


def _wait(intent: Intent, answer: ChannelAnswer) -> Move:
    """Pending or unknown: look again later, and at last let a person look."""
    now = timezone.now()
    delay = CHECK_AFTER[min(intent.checks, len(CHECK_AFTER) - 1)]
    values: Columns = {
        **_learnt(intent, answer),
        "checks": intent.checks + 1,
        "next_check_at": now + delay,
    }
    if intent.next_action_url and answer.outcome is Outcome.PENDING:
        values |= {"next_action_url": "", "action_left_at": now}
    if now - intent.created_at >= EXCEPTION_AFTER:
        asked = intent.step or intent.state.lower()
        values |= exception(intent, "no_answer", f"No final answer for 24 hours ({asked}).")
    return Move(None, values)


def _is_late(intent: Intent, answer: ChannelAnswer) -> bool:
    """Whether the answer is about a state on the way that the attempt has already left.

    Ends are never late: they are judged by the state that they find.
    """
    if answer.occurred_at is None:
        return False
    if answer.outcome is Outcome.REQUIRES_ACTION and intent.action_left_at is not None:
        return True
    on_the_way = answer.outcome in (Outcome.REQUIRES_ACTION, Outcome.PENDING)
    return on_the_way and intent.told_at is not None and answer.occurred_at < intent.told_at


def _after_the_end(intent: Intent, answer: ChannelAnswer) -> Move:
    """An answer for an attempt that has ended here: what contradicts its end goes to a person."""
    gave_up = intent.state != IntentState.SETTLED
    values: Columns = {}
    if intent.step == Step.VOID:
        values = _release_goes_on(intent, answer)
    if gave_up and answer.captured_minor > 0:
        values |= _contradicted(
            intent,
            "captured_after_end",
            "The provider captured this attempt after it had ended here.",
        )
    elif gave_up and _is_payment(intent) and answer.outcome is Outcome.SUCCEEDED:
        values |= _held_after_the_end(intent, answer)
    # A payment's failure arrives late from before its success; a refund's comes days after it,
    # when the payer's bank sends the money back.
    returned = intent.operation == Operation.REFUND and answer.outcome is Outcome.FAILED
    if returned and not gave_up and not answer.refused:
        values |= _contradicted(
            intent,
            "refund_returned",
            "The provider says that this refund failed after it had succeeded.",
        )
    return Move(None, values) if values else NOTHING


def _is_payment(intent: Intent) -> bool:
    return intent.operation == Operation.PAYMENT


def _held_after_the_end(intent: Intent, answer: ChannelAnswer) -> Columns:
    """Release the payer's money, which is held for an attempt that will not be captured."""
    values = _contradicted(
        intent,
        "authorized_after_end",
        "The provider holds the money of this attempt although it had ended here; the hold is"
        " being released.",
    )
    if values:
        values |= {
            **_learnt(intent, answer),
            "step": Step.VOID,
            "steps": intent.steps + 1,
            "checks": 0,
            "next_check_at": timezone.now(),
        }
    return values


def _release_goes_on(intent: Intent, answer: ChannelAnswer) -> Columns:
    """Whether the release of such a hold has its answer, or is looked at again."""
    over = answer.captured_minor > 0 or (answer.outcome is Outcome.FAILED and not answer.refused)
    if over:
        return {"step": Step.NONE, "next_check_at": None, "checks": 0}
    delay = CHECK_AFTER[min(intent.checks, len(CHECK_AFTER) - 1)]
    return {"checks": intent.checks + 1, "next_check_at": timezone.now() + delay}


def exception(intent: Intent, code: str, message: str) -> Columns:
    """The columns that put an attempt into the exceptions inbox, for one more reason.

    A reason already on record changes nothing, also after a person has dealt with it. What lasts
    (`_LASTING`) is said once for each stay in the inbox.
    """
    known: list[ExceptionLine] = intent.exceptions
    if code in _LASTING:
        known = _since_resolved(known) if intent.exception_at is not None else []
    if any((each["code"], each["message"]) == (code, message) for each in known):
        return {}
    now = timezone.now()
    line: ExceptionLine = {"at": now.isoformat(), "code": code, "message": message}
    return {
        "exception_at": intent.exception_at or now,
        "exceptions": [*intent.exceptions, line],
    }


def _since_resolved(lines: list[ExceptionLine]) -> list[ExceptionLine]:
    """The lines after the last one by which a person closed those before it."""
    ends = [place for place, line in enumerate(lines, start=1) if line["code"] == RESOLVED]
    return lines[ends[-1] :] if ends else lines


def _contradicted(intent: Intent, code: str, message: str) -> Columns:
    """As `exception`, for money that the books do not know; the attempt's failure says so too."""
    values = exception(intent, code, message)
    return values and {**values, "failure_code": code, "failure_message": message}


def _learnt(intent: Intent, answer: ChannelAnswer) -> Columns:
    """What any answer may teach: the channel's id, the card behind the token, how new it is."""
    values: Columns = {}
    if answer.external_id:
        values["external_id"] = answer.external_id
    if answer.card:
        values["card"] = dict(answer.card)
    if answer.occurred_at and (intent.told_at is None or answer.occurred_at > intent.told_at):
        values["told_at"] = answer.occurred_at
    return values


_AT_REST: Final[Columns] = {
    "step": Step.NONE,
    "next_action_url": "",
    "next_check_at": None,
    "exception_at": None,
    "checks": 0,
}
