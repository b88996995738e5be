"""Cache for expensive figures that may be stale.

The cache is never the only place: flushed, full or unreachable, it costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import redis
import structlog
from django.core.cache import cache

from core.db import ScopeError, current_scope

log = structlog.get_logger(__name__)
T = TypeVar("T")


def remembered(name: str, *parts: object, ttl_s: int, make: Callable[[], T]) -> T:
    """What `make` returned under this name and these parts in the last `ttl_s` seconds.

    The open scope is part of the key, so that no tenant ever meets another one's figures; the mode,
    and whatever else `make` depends on, has to stand in `parts`. `make` returns plain values.

    Raises:
        ScopeError: called outside `tenant_atomic`.
    """
    scope = current_scope()
    if scope is None:
        raise ScopeError("remembered() needs tenant_atomic(): the scope is part of its key")
    key = ":".join(["remembered", name, scope.role, str(scope.tenant), *map(str, parts)])
    try:
        found = cache.get(key)
    except redis.RedisError as error:
        log.warning("cache_unreachable", error=str(error))
        return make()
    if found is not None:
        return cast("T", found)
    made = make()
    try:
        cache.set(key, made, ttl_s)
    except redis.RedisError as error:
        log.warning("cache_unreachable", error=str(error))
    return made
