"""Django's cache on Valkey, with the time-outs and the breaker of `core.valkey`."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

from core import valkey


class _Client(RedisCacheClient):
    def __init__(self, servers: Any, **options: Any) -> None:
        ours = {**valkey.OPTIONS, **valkey.connections_of(servers[0])}
        super().__init__(servers, **{**ours, **options})
        self._client = valkey.Client


class Cache(RedisCache):
    """Raises redis.RedisError when Valkey is away: within a quarter of a second, or at once."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client
