"""Rate limits: GCRA in one Lua call with Valkey's own clock.

GCRA (the generic cell rate algorithm, ITU-T I.371) keeps one number per key, the theoretical
arrival time, and has no window edges. Processes differ in their clocks: the script asks the server.

When Valkey is away, requests pass under a cap kept in this process: a limiter that fails closed
would turn a lost cache into a lost shop. What must hold even then counts in PostgreSQL
(`core.attempts`: logins, payouts).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import redis
from django.conf import settings

from core import valkey
from core.errors import RateLimited

# KEYS[1] key; ARGV: emission interval µs, burst tolerance µs, cost. Returns allowed, remaining,
# retry-after µs, reset-after µs. Integers throughout: Lua numbers are exact up to 2^53 µs.
_GCRA: Final = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval = tonumber(ARGV[1])
local tolerance = tonumber(ARGV[2])
local cost = tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local next_tat = tat + interval * cost
local allow_at = next_tat - tolerance
if allow_at > now then
  local left = math.floor((tolerance - (tat - now)) / interval)
  if left < 0 then left = 0 end
  return {0, left, allow_at - now, tat - now}
end
local ttl_ms = math.ceil((next_tat - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', next_tat), 'PX', ttl_ms)
return {1, math.floor((tolerance - (next_tat - now)) / interval), 0, next_tat - now}
"""
_LOCAL_KEYS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` requests in `period_s` seconds, of which `limit` may come at once."""

    limit: int
    period_s: int

    @property
    def interval_us(self) -> int:
        return self.period_s * 1_000_000 // self.limit


@dataclass(frozen=True, slots=True)
class Decision:
    """The limiter's answer; durations are whole seconds rounded up, as the headers need them."""

    allowed: bool
    limit: int
    remaining: int
    reset_after_s: int
    retry_after_s: int
    period_s: int

    def headers(self) -> Mapping[str, str]:
        """RateLimit-* (draft-ietf-httpapi-ratelimit-headers-03); Retry-After when refused."""
        headers = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_after_s),
            "RateLimit-Policy": f"{self.limit};w={self.period_s}",
        }
        if not self.allowed:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers

    def enforce(self) -> None:
        """Raise RateLimited when the allowance is spent."""
        if not self.allowed:
            raise RateLimited(
                f"Too many requests. Try again in {self.retry_after_s} s.",
                code="rate_limited",
                retry_after_s=self.retry_after_s,
            )


def check_rate(*, key: str, endpoint: str, rate: Rate, cost: int = 1) -> Decision:
    """Take `cost` from the allowance of `key` at `endpoint`; never raises for a lost Valkey."""
    name = f"rl:{endpoint}:{key}"
    try:
        answer = cast(
            "list[int]",
            _script()(
                keys=[name],
                args=[rate.interval_us, rate.interval_us * rate.limit, cost],
            ),
        )
    except redis.RedisError:
        # The client's breaker logs that Valkey is away, and refuses at once until it is back.
        answer = _local.take(name, rate, cost)
    return _decision(rate, answer)


def _decision(rate: Rate, answer: list[int]) -> Decision:
    allowed, remaining, retry_us, reset_us = answer
    return Decision(
        allowed=bool(allowed),
        limit=rate.limit,
        remaining=int(remaining),
        reset_after_s=math.ceil(reset_us / 1_000_000),
        retry_after_s=max(1, math.ceil(retry_us / 1_000_000)) if not allowed else 0,
        period_s=rate.period_s,
    )


@lru_cache(maxsize=1)
def _script() -> Any:
    # register_script loads again by itself when the server forgot the script (flush, restart).
    return valkey.client(settings.CACHE_URL).register_script(_GCRA)


class _LocalLimiter:
    """The same algorithm in this process's memory, used only while Valkey is away."""

    def __init__(self) -> None:
        self._arrivals: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, name: str, rate: Rate, cost: int) -> list[int]:
        now = time.monotonic_ns() // 1000
        interval, tolerance = rate.interval_us, rate.interval_us * rate.limit
        with self._lock:
            if len(self._arrivals) > _LOCAL_KEYS_MAX:
                self._arrivals = {key: tat for key, tat in self._arrivals.items() if tat > now}
            tat = max(self._arrivals.get(name, now), now)
            next_tat = tat + interval * cost
            if next_tat - tolerance > now:
                left = max(0, (tolerance - (tat - now)) // interval)
                return [0, left, next_tat - tolerance - now, tat - now]
            self._arrivals[name] = next_tat
            return [1, (tolerance - (next_tat - now)) // interval, 0, next_tat - now]


_local = _LocalLimiter()
