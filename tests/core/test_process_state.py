"""Tests of how tests are kept apart: what the process remembers, and what must be changed back."""

from __future__ import annotations

import pytest
from django.conf import settings

from core import inbox, ratelimit, valkey
from core.ratelimit import Rate, check_rate
from tests import process_state


def test_a_breaker_that_was_opened_is_closed_again() -> None:
    breaker = valkey.breaker_of(valkey.address_of(settings.CACHE_URL))
    breaker.failed()
    check_rate(key="k", endpoint="e", rate=Rate(limit=1, period_s=60))
    assert ratelimit._local._arrivals.keys() == {"rl:e:k"}

    process_state.forget()

    assert not valkey.breaker_of(valkey.address_of(settings.CACHE_URL)).is_open
    assert ratelimit._local._arrivals == {}


def test_what_a_test_leaves_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_state.snapshot()
    monkeypatch.setenv("LEFT_BEHIND", "1")
    monkeypatch.setitem(inbox._processors, "left", lambda _: inbox.Result(inbox.Verdict.PROCESSED))

    changed = process_state.changes(before, process_state.snapshot())

    assert changed == ["core.inbox._processors", "environment LEFT_BEHIND"]
