from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.conf import settings as django_settings

from core.errors import RateLimited
from core.ids import new_id
from core.ratelimit import Rate, check_rate


@pytest.fixture
def key() -> str:
    return new_id().hex


def test_lets_the_limit_through_and_says_when_to_return(key: str) -> None:
    rate = Rate(limit=5, period_s=60)
    began = time.monotonic()
    decisions = [check_rate(key=key, endpoint="e", rate=rate) for _ in range(6)]

    assert [d.allowed for d in decisions] == [True] * 5 + [False]
    assert [d.remaining for d in decisions] == [4, 3, 2, 1, 0, 0]
    refused = decisions[-1].headers()
    assert refused["RateLimit-Limit"] == "5"
    assert refused["RateLimit-Remaining"] == "0"
    assert refused["RateLimit-Policy"] == "5;w=60"
    # Each gets shorter while the calls are made.
    took_s = math.ceil(time.monotonic() - began)
    assert 12 - took_s <= int(refused["Retry-After"]) <= 12
    assert 60 - took_s <= int(refused["RateLimit-Reset"]) <= 60
    assert "Retry-After" not in decisions[0].headers()


def test_keys_and_endpoints_have_their_own_allowance(key: str) -> None:
    rate = Rate(limit=1, period_s=60)
    assert check_rate(key=key, endpoint="a", rate=rate).allowed
    assert not check_rate(key=key, endpoint="a", rate=rate).allowed
    assert check_rate(key=key, endpoint="b", rate=rate).allowed
    assert check_rate(key=key + "x", endpoint="a", rate=rate).allowed


def test_the_allowance_comes_back_steadily(key: str) -> None:
    rate = Rate(limit=10, period_s=1)
    while check_rate(key=key, endpoint="e", rate=rate).allowed:
        pass
    empty = time.monotonic()
    time.sleep(0.25)
    passed = sum(check_rate(key=key, endpoint="e", rate=rate).allowed for _ in range(10))
    assert 2 <= passed <= 1 + 10 * (time.monotonic() - empty)


def test_many_at_once_pass_exactly_the_limit(key: str) -> None:
    rate = Rate(limit=20, period_s=600)
    with ThreadPoolExecutor(16) as pool:
        allowed = list(
            pool.map(lambda _: check_rate(key=key, endpoint="e", rate=rate).allowed, range(100))
        )
    assert allowed.count(True) == 20


def test_a_flush_costs_the_count_and_nothing_else(key: str) -> None:
    rate = Rate(limit=1, period_s=60)
    assert check_rate(key=key, endpoint="e", rate=rate).allowed
    client = redis.Redis.from_url(django_settings.CACHE_URL)
    client.flushdb()
    client.script_flush()

    assert check_rate(key=key, endpoint="e", rate=rate).allowed


def test_without_valkey_a_local_cap_holds(key: str, settings) -> None:
    settings.CACHE_URL = "redis://127.0.0.1:1/0"
    rate = Rate(limit=3, period_s=60)
    allowed = [check_rate(key=key, endpoint="e", rate=rate).allowed for _ in range(50)]

    assert allowed == [True] * 3 + [False] * 47


def test_enforcing_raises_with_the_wait(key: str) -> None:
    rate = Rate(limit=1, period_s=30)
    began = time.monotonic()
    check_rate(key=key, endpoint="e", rate=rate).enforce()
    with pytest.raises(RateLimited) as refused:
        check_rate(key=key, endpoint="e", rate=rate).enforce()
    took_s = math.ceil(time.monotonic() - began)
    assert 30 - took_s <= refused.value.retry_after_s <= 30
