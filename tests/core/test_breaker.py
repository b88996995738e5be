from __future__ import annotations

import time

import pytest

from core.breaker import Breaker, BreakerOpen

#: Never reached in a test: the breaker stays open.
LONG_S = 600.0


def _wait_until_half_open(breaker: Breaker) -> None:
    ends_at = time.monotonic() + 30
    while breaker.is_open:
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker("t", failures=3, open_s=LONG_S)
    for _ in range(2):
        breaker.failed()
    assert breaker.allow()
    breaker.failed()
    assert not breaker.allow()


def test_an_answer_in_between_counts_from_the_start() -> None:
    breaker = Breaker("t", failures=2, open_s=LONG_S)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.allow()


def test_it_says_when_to_come_back() -> None:
    breaker = Breaker("t", open_s=100.0)
    breaker.failed()
    with pytest.raises(BreakerOpen) as refused:
        breaker.check()
    assert 79 <= refused.value.retry_after_s <= 120


def test_half_open_lets_one_probe_through() -> None:
    breaker = Breaker("t", open_s=0.02)
    breaker.failed()
    _wait_until_half_open(breaker)
    assert [breaker.allow() for _ in range(5)] == [True, False, False, False, False]
    breaker.succeeded()
    assert [breaker.allow() for _ in range(3)] == [True] * 3


def test_a_probe_that_fails_opens_it_for_twice_as_long() -> None:
    breaker = Breaker("t", failures=4, open_s=0.02, open_max_s=1000.0)
    for _ in range(4):
        breaker.failed()
    for _ in range(5):
        _wait_until_half_open(breaker)
        assert breaker.allow()
        # One failure is enough now, whatever it took to open it first.
        breaker.failed()
    with pytest.raises(BreakerOpen) as refused:
        breaker.check()
    assert 0.02 * 2**5 * 0.7 <= refused.value.retry_after_s <= 0.02 * 2**5 * 1.2


def test_a_probe_that_says_nothing_leaves_the_place_to_the_next() -> None:
    breaker = Breaker("t", open_s=0.02)
    breaker.failed()
    _wait_until_half_open(breaker)
    with pytest.raises(KeyError), breaker.guard(ValueError):
        raise KeyError
    assert breaker.allow()


def test_a_guarded_call_counts_the_named_errors_alone() -> None:
    breaker = Breaker("t", open_s=LONG_S)
    with pytest.raises(KeyError), breaker.guard(ValueError):
        raise KeyError
    assert not breaker.is_open
    with pytest.raises(ValueError, match="lost"), breaker.guard(ValueError):
        raise ValueError("lost")
    with pytest.raises(BreakerOpen), breaker.guard(ValueError):
        raise AssertionError("must not be run")
