"""Attempts that cost more each time, counted in PostgreSQL."""

from __future__ import annotations

import contextlib
import secrets
import threading
from typing import Final

import pytest
from django.db import ProgrammingError, connections

from core.attempts import (
    Throttle,
    attempts_forget,
    attempts_give_back,
    attempts_take,
    mail_take,
)
from core.db import Scope, tenant_atomic
from core.errors import RateLimited
from tests.factories import make_tenants
from tests.places import shift_throttle, throttle_level

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
#: Slow enough that no counter opens while a test runs.
SLOW: Final = Throttle("t_slow", free=3, first_delay_s=HOUR_S, max_delay_s=5 * HOUR_S, leak_s=DAY_S)
OTHER: Final = Throttle("t_other", free=3, first_delay_s=HOUR_S, max_delay_s=HOUR_S, leak_s=DAY_S)
MAIL: Final = Throttle("mail_t", free=1, first_delay_s=DAY_S, max_delay_s=DAY_S, leak_s=DAY_S)


@pytest.fixture
def subject() -> str:
    return f"{secrets.token_hex(8)}@example.test"


def wait_of(*counters: tuple[Throttle, str]) -> int:
    with pytest.raises(RateLimited) as refused:
        attempts_take(*counters)
    return refused.value.retry_after_s


def test_the_first_attempts_are_free_and_each_later_one_costs_twice_as_much(subject: str) -> None:
    counter = (SLOW, subject)
    for _ in range(SLOW.free):
        attempts_take(counter)
    waits = []
    for _ in range(5):
        waits.append(wait_of(counter))
        shift_throttle(counter, by_s=-waits[-1])
        attempts_take(counter)
    hours = [wait_s / HOUR_S for wait_s in waits]
    assert [round(hour, 1) for hour in hours] == [1, 2, 4, 5, 5]


def test_a_refused_attempt_does_not_keep_the_counter_closed(subject: str) -> None:
    counter = (SLOW, subject)
    for _ in range(SLOW.free):
        attempts_take(counter)
    first = wait_of(counter)
    assert wait_of(counter) <= first
    assert throttle_level(counter) == SLOW.free


def test_an_attempt_is_forgiven_for_each_time_without_one(subject: str) -> None:
    counter = (SLOW, subject)
    for _ in range(SLOW.free):
        attempts_take(counter)
    shift_throttle(counter, by_s=-2 * DAY_S)
    attempts_take(counter)
    assert throttle_level(counter) == SLOW.free - 2 + 1
    attempts_take(counter)


def test_subjects_and_kinds_are_counted_apart_whatever_their_spelling(subject: str) -> None:
    for _ in range(SLOW.free):
        attempts_take((SLOW, f" {subject.upper()} "))
    wait_of((SLOW, subject))
    attempts_take((OTHER, subject))
    attempts_take((SLOW, f"x{subject}"))


def test_one_closed_counter_refuses_and_the_others_count_nothing(subject: str) -> None:
    for _ in range(SLOW.free):
        attempts_take((SLOW, subject))
    wait_of((OTHER, subject), (SLOW, subject))
    assert throttle_level((OTHER, subject)) == 0


def test_a_success_gives_its_attempt_back_or_starts_over(subject: str) -> None:
    counter = (SLOW, subject)
    for _ in range(SLOW.free):
        attempts_take(counter)
    attempts_give_back(counter)
    assert throttle_level(counter) == SLOW.free - 1
    attempts_take(counter)
    wait_of(counter)
    attempts_forget(counter)
    assert throttle_level(counter) == 0
    attempts_take(counter)


def test_guesses_at_the_same_moment_pass_one_by_one(subject: str) -> None:
    outcomes: list[bool] = []
    barrier = threading.Barrier(12)

    def guess() -> None:
        barrier.wait()
        try:
            attempts_take((SLOW, subject), (OTHER, subject))
            outcomes.append(True)
        except RateLimited:
            outcomes.append(False)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(True), len(outcomes)) == (SLOW.free, 12)


def test_mails_are_counted_in_any_scope_and_together_with_the_callers_writes(subject: str) -> None:
    t = make_tenants(users=False)
    with contextlib.suppress(ZeroDivisionError), tenant_atomic(t.scope):
        # Undone with the rest of its transaction.
        assert 1 // mail_take(MAIL, subject)
    with tenant_atomic(t.scope):
        assert mail_take(MAIL, subject) == 0
    with tenant_atomic(t.reseller_scope):
        assert DAY_S - HOUR_S < mail_take(MAIL, subject) <= DAY_S


def test_no_scope_but_the_logins_touches_the_logins_counters(subject: str) -> None:
    t = make_tenants(users=False)
    for scope in (t.scope, t.reseller_scope, Scope.staff()):
        with pytest.raises(ProgrammingError, match="counts mails alone"), tenant_atomic(scope):
            mail_take(SLOW, subject)
