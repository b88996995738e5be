"""Tests of how tests are kept apart: what the process remembers, and what must be changed back."""

from __future__ import annotations

import pytest

from core import enqueue, inbox, ratelimit
from core.ratelimit import Rate, check_rate
from tests import process_state


def test_a_breaker_that_was_opened_is_closed_again() -> None:
    enqueue._breaker.failed()
    assert enqueue._breaker.is_open
    check_rate(key="k", endpoint="e", rate=Rate(limit=1, period_s=60))

    process_state.forget()

    assert not enqueue._breaker.is_open
    assert ratelimit._local._arrivals == {}


def test_what_a_test_leaves_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_state.snapshot()
    monkeypatch.setenv("LEFT_BEHIND", "1")
    monkeypatch.setitem(inbox._processors, "left", lambda _: inbox.Result(inbox.Verdict.PROCESSED))

    changed = process_state.changes(before, process_state.snapshot())

    assert changed == ["core.inbox._processors", "environment LEFT_BEHIND"]
