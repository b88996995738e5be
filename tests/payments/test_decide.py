"""What an answer means for an attempt: `decide`, case by case, at a time that stands still."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from core.ids import new_id
from payments.intents.channels.base import ChannelAnswer, Outcome
from payments.intents.models import Intent, Operation
from payments.intents.progress import NOTHING, Columns, Move, decide
from payments.intents.states import FINAL, IntentState, Step

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
S = IntentState
RESTED: Columns = {
    "step": Step.NONE,
    "next_action_url": "",
    "next_check_at": None,
    "exception_at": None,
    "checks": 0,
}


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def an_intent(state: IntentState = S.VALIDATED, **given: Any) -> Intent:
    """A payment of 10.00, a minute old, of which nothing but its state is known."""
    return Intent(
        **{
            "id": new_id(),
            "operation": Operation.PAYMENT,
            "amount_minor": 1_000,
            "created_at": NOW - MINUTE,
            "state": state,
            **given,
        }
    )


def says(outcome: Outcome, **given: Any) -> ChannelAnswer:
    return ChannelAnswer(outcome=outcome, **given)


def codes(move: Move) -> list[str]:
    return [line["code"] for line in move.values.get("exceptions", [])]


# Success


@pytest.mark.parametrize("state", [S.VALIDATED, S.AUTHORIZED])
def test_captured_money_settles(state: IntentState) -> None:
    move = decide(an_intent(state), says(Outcome.SUCCEEDED, captured_minor=400, external_id="ch_1"))
    assert move == Move(S.SETTLED, {"external_id": "ch_1", "settled_amount_minor": 400, **RESTED})


def test_a_capture_of_too_much_settles_what_was_asked_for_and_goes_to_a_person() -> None:
    move = decide(an_intent(), says(Outcome.SUCCEEDED, captured_minor=1_001))
    assert move.state == S.SETTLED
    assert move.values["settled_amount_minor"] == 1_000
    assert (move.values["exception_at"], codes(move)) == (NOW, ["captured_too_much"])
    assert move.values["failure_code"] == "captured_too_much"
    assert "1001" in move.values["failure_message"]


def test_a_capture_of_all_goes_to_nobody() -> None:
    move = decide(an_intent(), says(Outcome.SUCCEEDED, captured_minor=1_000))
    assert move == Move(S.SETTLED, {"settled_amount_minor": 1_000, **RESTED})


def test_a_success_without_a_capture_is_a_hold_until_its_seven_days_are_over() -> None:
    move = decide(an_intent(), says(Outcome.SUCCEEDED, card={"last4": "4242"}))
    ends_at = NOW - MINUTE + 7 * DAY
    assert move == Move(
        S.AUTHORIZED, {"card": {"last4": "4242"}, **RESTED, "next_check_at": ends_at}
    )


# The payer's turn


def test_a_challenge_is_looked_at_when_its_hour_is_over() -> None:
    answer = says(
        Outcome.REQUIRES_ACTION, next_action_url="https://bank.example/c", external_id="ch_1"
    )
    values: Columns = {
        "external_id": "ch_1",
        "step": Step.NONE,
        "next_action_url": "https://bank.example/c",
        "next_check_at": NOW - MINUTE + HOUR,
        "checks": 0,
    }
    move = decide(an_intent(step=Step.AUTHORIZE), answer)
    assert move == Move(None, values)
    assert decide(an_intent(**values), answer) == NOTHING


def test_a_pending_answer_after_a_challenge_says_that_the_payer_has_answered() -> None:
    intent = an_intent(next_action_url="https://bank.example/c")
    move = decide(intent, says(Outcome.PENDING))
    assert (move.values["next_action_url"], move.values["action_left_at"]) == ("", NOW)
    assert "action_left_at" not in decide(intent, says(Outcome.UNKNOWN)).values


# Failure, and requests that were refused


@pytest.mark.parametrize("state", [S.VALIDATED, S.AUTHORIZED])
def test_a_failure_ends_the_attempt(state: IntentState) -> None:
    answer = says(Outcome.FAILED, failure_code="card_declined", failure_message="x" * 301)
    assert decide(an_intent(state), answer) == Move(
        S.FAILED, {"failure_code": "card_declined", "failure_message": "x" * 300, **RESTED}
    )


REFUSED = says(Outcome.FAILED, refused=True, failure_code="c", failure_message="m")


def test_a_refused_request_ends_an_attempt_that_holds_nothing() -> None:
    assert decide(an_intent(step=Step.AUTHORIZE), REFUSED).state == S.FAILED


@pytest.mark.parametrize(("state", "step"), [(S.AUTHORIZED, Step.SETTLE), (S.VALIDATED, Step.VOID)])
def test_a_refused_request_leaves_a_hold_as_it_was(state: IntentState, step: Step) -> None:
    move = decide(an_intent(state, step=step), REFUSED)
    later = NOW + 5 * MINUTE
    assert move == Move(None, {"step": Step.NONE, "checks": 1, "next_check_at": later})


def test_a_hold_that_the_provider_does_not_release_goes_to_a_person() -> None:
    old = an_intent(S.AUTHORIZED, step=Step.VOID, created_at=NOW - 7 * DAY)
    move = decide(old, REFUSED)
    assert (move.state, codes(move)) == (None, ["hold_not_released"])
    assert move.values["exceptions"][0]["message"] == "The provider refused: m"


# Given up


@pytest.mark.parametrize(
    ("state", "step", "age", "ended", "code"),
    [
        (S.VALIDATED, Step.VOID, MINUTE, S.CANCELED, "own"),
        (S.AUTHORIZED, Step.VOID, 2 * HOUR, S.CANCELED, "own"),
        (S.VALIDATED, Step.NONE, MINUTE, S.EXPIRED, "own"),
        (S.VALIDATED, Step.VOID, HOUR, S.EXPIRED, "authentication_expired"),
        (S.AUTHORIZED, Step.VOID, 7 * DAY, S.EXPIRED, "authorization_expired"),
    ],
)
def test_what_is_canceled_was_asked_for_or_has_expired(
    state: IntentState, step: Step, age: dt.timedelta, ended: IntentState, code: str
) -> None:
    intent = an_intent(state, step=step, created_at=NOW - age)
    move = decide(intent, says(Outcome.FAILED, canceled=True, failure_code="own"))
    assert (move.state, move.values["failure_code"]) == (ended, code)


# Not known, and not yet


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.PENDING])
@pytest.mark.parametrize(
    ("checks", "delay"), [(0, 5 * MINUTE), (1, HOUR), (2, DAY), (3, DAY), (40, DAY)]
)
def test_what_is_not_known_is_looked_at_again_and_ever_later(
    outcome: Outcome, checks: int, delay: dt.timedelta
) -> None:
    move = decide(an_intent(checks=checks, step=Step.AUTHORIZE), says(outcome))
    assert move == Move(None, {"checks": checks + 1, "next_check_at": NOW + delay})


@pytest.mark.parametrize(("age", "reasons"), [(DAY, ["no_answer"]), (DAY - MINUTE, [])])
def test_a_person_looks_at_what_is_not_known_after_a_day(
    age: dt.timedelta, reasons: list[str]
) -> None:
    move = decide(an_intent(created_at=NOW - age, step=Step.AUTHORIZE), says(Outcome.UNKNOWN))
    assert (move.state, codes(move)) == (None, reasons)
    assert ("exception_at" in move.values) is bool(reasons)


def test_an_answer_that_confirms_a_hold_changes_nothing() -> None:
    standing = an_intent(S.AUTHORIZED, next_check_at=NOW - MINUTE + 7 * DAY)
    assert decide(standing, says(Outcome.SUCCEEDED)) == NOTHING
    assert decide(standing, says(Outcome.REQUIRES_ACTION)) == NOTHING


def test_a_hold_that_was_looked_at_soon_rests_again_until_its_end() -> None:
    looked_at = an_intent(S.AUTHORIZED, next_check_at=NOW + MINUTE, checks=2)
    move = decide(looked_at, says(Outcome.SUCCEEDED))
    ends_at = NOW - MINUTE + 7 * DAY
    assert move == Move(None, {"next_check_at": ends_at, "checks": 0, "exception_at": None})


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"step": Step.SETTLE}, Outcome.SUCCEEDED),
        ({}, Outcome.UNKNOWN),
        ({"created_at": NOW - 7 * DAY}, Outcome.SUCCEEDED),
    ],
    ids=["a step under way", "nobody knows", "overdue"],
)
def test_a_hold_that_is_not_at_rest_is_looked_at_soon(
    given: dict[str, Any], outcome: Outcome
) -> None:
    move = decide(an_intent(S.AUTHORIZED, **given), says(outcome))
    assert (move.state, move.values["next_check_at"]) == (None, NOW + 5 * MINUTE)


# Late


@pytest.mark.parametrize(
    ("outcome", "told", "late"),
    [
        (Outcome.PENDING, MINUTE, True),
        (Outcome.REQUIRES_ACTION, MINUTE, True),
        (Outcome.PENDING, -MINUTE, False),
        (Outcome.PENDING, 0 * MINUTE, False),
        (Outcome.FAILED, MINUTE, False),
        (Outcome.SUCCEEDED, MINUTE, False),
    ],
)
def test_older_word_of_what_is_on_the_way_changes_nothing(
    outcome: Outcome, told: dt.timedelta, late: bool
) -> None:
    at = NOW - HOUR
    move = decide(an_intent(told_at=at + told), says(outcome, occurred_at=at))
    assert (move == NOTHING) is late


def test_a_challenge_does_not_come_back_once_it_was_answered() -> None:
    answered = an_intent(action_left_at=NOW - MINUTE)
    event = says(Outcome.REQUIRES_ACTION, next_action_url="https://bank.example/c", occurred_at=NOW)
    assert decide(answered, event) == NOTHING
    # The answer to a question is never late: it says what is true now.
    asked = decide(
        answered, says(Outcome.REQUIRES_ACTION, next_action_url="https://bank.example/c")
    )
    assert asked == Move(None, {"checks": 1, "next_check_at": NOW + 5 * MINUTE})


def test_the_newest_word_of_the_provider_is_remembered() -> None:
    move = decide(an_intent(told_at=NOW - HOUR), says(Outcome.PENDING, occurred_at=NOW - MINUTE))
    assert move.values["told_at"] == NOW - MINUTE


# After the end

GIVEN_UP = [S.FAILED, S.CANCELED, S.EXPIRED]


@pytest.mark.parametrize("state", GIVEN_UP)
def test_money_that_moved_after_an_attempt_was_given_up_goes_to_a_person(
    state: IntentState,
) -> None:
    move = decide(an_intent(state), says(Outcome.SUCCEEDED, captured_minor=1_000))
    assert (move.state, codes(move)) == (None, ["captured_after_end"])
    assert (move.values["exception_at"], move.values["failure_code"]) == (NOW, "captured_after_end")
    assert "settled_amount_minor" not in move.values


@pytest.mark.parametrize("state", GIVEN_UP)
def test_a_hold_that_came_after_the_end_is_released(state: IntentState) -> None:
    move = decide(an_intent(state, steps=3, checks=2), says(Outcome.SUCCEEDED, external_id="ch_1"))
    assert (move.state, codes(move)) == (None, ["authorized_after_end"])
    wanted: Columns = {
        "external_id": "ch_1",
        "step": Step.VOID,
        "steps": 4,
        "checks": 0,
        "next_check_at": NOW,
    }
    assert {**move.values, **wanted} == move.values


def test_a_refund_that_was_given_up_holds_nothing() -> None:
    refund = an_intent(S.FAILED, operation=Operation.REFUND)
    assert decide(refund, says(Outcome.SUCCEEDED)) == NOTHING


@pytest.mark.parametrize(
    ("answer", "over"),
    [
        (says(Outcome.FAILED, canceled=True), True),
        (REFUSED, False),
        (says(Outcome.UNKNOWN), False),
    ],
)
def test_such_a_release_goes_on_until_it_has_its_answer(answer: ChannelAnswer, over: bool) -> None:
    move = decide(an_intent(S.FAILED, step=Step.VOID, checks=1), answer)
    assert move == Move(
        None,
        {"step": Step.NONE, "next_check_at": None, "checks": 0}
        if over
        else {"checks": 2, "next_check_at": NOW + HOUR},
    )


@pytest.mark.parametrize(
    "answer", [says(Outcome.FAILED), says(Outcome.PENDING), says(Outcome.UNKNOWN), REFUSED]
)
@pytest.mark.parametrize("state", sorted(FINAL))
def test_other_word_after_the_end_changes_nothing(
    state: IntentState, answer: ChannelAnswer
) -> None:
    assert decide(an_intent(state), answer) == NOTHING


def test_a_refund_that_the_bank_sent_back_goes_to_a_person_once() -> None:
    refund = an_intent(S.SETTLED, operation=Operation.REFUND)
    move = decide(refund, says(Outcome.FAILED))
    assert (move.state, codes(move)) == (None, ["refund_returned"])
    refund.exceptions = move.values["exceptions"]
    assert decide(refund, says(Outcome.FAILED)) == NOTHING
    assert decide(an_intent(S.SETTLED, operation=Operation.REFUND), REFUSED) == NOTHING


# How often an answer is asked for


RARER = [(0, 5 * MINUTE), (1, HOUR), (2, DAY), (3, DAY), (9, DAY)]


@pytest.mark.parametrize(("checks", "delay"), RARER)
@pytest.mark.parametrize(
    ("state", "step", "answer"),
    [
        (S.VALIDATED, Step.AUTHORIZE, says(Outcome.UNKNOWN)),
        (S.VALIDATED, Step.AUTHORIZE, says(Outcome.PENDING)),
        (S.AUTHORIZED, Step.SETTLE, says(Outcome.FAILED, refused=True)),
        (S.FAILED, Step.VOID, says(Outcome.UNKNOWN)),
    ],
)
def test_what_has_no_answer_is_looked_at_ever_more_rarely(
    state: IntentState, step: Step, answer: ChannelAnswer, checks: int, delay: dt.timedelta
) -> None:
    values = decide(an_intent(state, step=step, checks=checks), answer).values
    assert (values["checks"], values["next_check_at"]) == (checks + 1, NOW + delay)


def test_the_smallest_capture_settles() -> None:
    move = decide(an_intent(), says(Outcome.SUCCEEDED, captured_minor=1))
    assert (move.state, move.values["settled_amount_minor"]) == (S.SETTLED, 1)


@pytest.mark.parametrize(
    ("step", "asked"), [(Step.AUTHORIZE, "authorize"), (Step.NONE, "validated")]
)
def test_the_exceptions_inbox_says_what_has_no_answer(step: Step, asked: str) -> None:
    move = decide(an_intent(step=step, created_at=NOW - DAY), says(Outcome.UNKNOWN))
    (line,) = move.values["exceptions"]
    assert line["message"] == f"No final answer for 24 hours ({asked})."


def test_a_release_ends_when_the_hold_was_captured_after_all() -> None:
    move = decide(
        an_intent(S.FAILED, step=Step.VOID, checks=1), says(Outcome.SUCCEEDED, captured_minor=1)
    )
    assert (move.values["step"], move.values["next_check_at"]) == (Step.NONE, None)
    assert codes(move) == ["captured_after_end"]
