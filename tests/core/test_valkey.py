"""Clients of Valkey: what a frozen one costs, and what it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from django.core.cache import caches

from core import ratelimit, valkey
from core.cache import Cache
from core.ids import new_id
from core.ratelimit import Rate, check_rate
from tests.frozen import Frozen, own_valkey

#: A limit that only ends what hangs.
HANGS_S = 5.0


@pytest.fixture
def server() -> Iterator[Frozen]:
    with own_valkey() as started:
        yield started


def _until(condition) -> None:
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def test_a_frozen_server_is_asked_once(server: Frozen) -> None:
    client = valkey.client(server.url)
    client.set("a", 1)
    server.freeze()
    began = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        client.get("a")
    for _ in range(100):
        with pytest.raises(valkey.Away):
            client.get("a")
    assert time.monotonic() - began < HANGS_S


def test_all_clients_of_a_server_share_what_was_found_out(server: Frozen) -> None:
    server.freeze()
    with pytest.raises(redis.RedisError):
        valkey.client(server.url).ping()
    with pytest.raises(valkey.Away):
        valkey.client(server.url).ping()
    assert valkey.breaker_of(valkey.address_of(server.url)).is_open


def test_a_server_that_is_back_is_asked_again(server: Frozen) -> None:
    client = valkey.client(server.url)
    server.freeze()
    with pytest.raises(redis.RedisError):
        client.ping()
    server.thaw()

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    _until(answers)


def test_an_error_of_the_server_is_an_answer(server: Frozen) -> None:
    client = valkey.client(server.url)
    client.set("text", "x")
    for _ in range(3):
        with pytest.raises(redis.ResponseError):
            client.incr("text")
    assert client.get("text") == b"x"


def test_a_broken_connection_is_made_again(server: Frozen) -> None:
    client = valkey.client(server.url)
    client.ping()
    redis.Redis.from_url(server.url, socket_timeout=5).client_kill_filter(
        skipme=True, _type="normal"
    )
    assert client.ping()


def test_the_cache_raises_at_once(server: Frozen) -> None:
    cache = Cache(server.url, {})
    cache.set("a", "kept", 60)
    assert cache.get("a") == "kept"
    server.freeze()
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(redis.RedisError):
            cache.get("a")
        with pytest.raises(redis.RedisError):
            cache.add("b", 1, 60)
    assert time.monotonic() - began < HANGS_S


def test_the_platform_uses_it() -> None:
    assert isinstance(caches["default"], Cache)


def test_rates_are_counted_here_while_the_server_is_frozen(server: Frozen, settings) -> None:
    settings.CACHE_URL = server.url
    ratelimit._script.cache_clear()
    try:
        server.freeze()
        rate, key = Rate(limit=3, period_s=600), new_id().hex
        began = time.monotonic()
        allowed = [check_rate(key=key, endpoint="e", rate=rate).allowed for _ in range(50)]
        assert time.monotonic() - began < HANGS_S
    finally:
        ratelimit._script.cache_clear()
    assert allowed == [True] * 3 + [False] * 47
