"""What the code under test keeps in the process: forgotten before each test, and left as found.

A value remembered from an earlier test (a breaker that is open, a client of a server that was
lost, a provider account) would make the next test depend on it. What is registered, or set in the
environment, is not forgotten but compared: a test that changes it must change it back.
"""

from __future__ import annotations

import os
from typing import Any, Final

#: Registries by module and name; apps fill them when Django is set up, and tests put things beside.
REGISTRIES: Final = (
    ("core.inbox", "_lane_finders"),
    ("core.inbox", "_processors"),
    ("core.metrics", "_gauges"),
    ("core.outbox", "_subscriptions"),
    ("core.retention", "_rules"),
    ("core.rotation", "_columns"),
    ("core.task_context", "_open"),
    ("ledger.documents", "_lookups"),
    ("ledger.documents", "_prefixes"),
    ("notifications.realtime", "_checkers"),
    ("payments.intents.channels.base", "_channels"),
    ("payments.intents.documents", "_handlers"),
    ("payments.intents.documents", "_service_documents"),
    ("payments.intents.provider_events", "_dispute_handler"),
    ("payments.intents.provider_events", "_refund_handler"),
    ("payments.providers.services", "_handler"),
)
#: Set by pytest for each test, and by fixtures for all tests of a folder or module.
_NOT_A_TESTS: Final = frozenset(
    {"PYTEST_CURRENT_TEST", "DATABASE_URL", "DJANGO_ALLOW_ASYNC_UNSAFE"}
)


def forget() -> None:
    """Empty the caches that hold what a database, a server or a setting said earlier."""
    from core import crypto, enqueue, mail, names, proxies, ratelimit, valkey
    from core.serving.callers import known_tenants
    from notifications import realtime
    from payments.providers.calls import forget_calls
    from payments.providers.selectors import forget_accounts

    crypto.forget_keys()
    forget_accounts()
    names.forget_names()
    proxies._warn_once.cache_clear()
    ratelimit._script.cache_clear()
    valkey._breakers.clear()
    for breaker in (enqueue._breaker, mail._breaker, realtime._breaker):
        breaker.succeeded()
    forget_calls()
    known_tenants.clear()
    ratelimit._local = ratelimit._LocalLimiter()


def snapshot() -> dict[str, Any]:
    """The registries and the environment as they are now."""
    import importlib

    found: dict[str, Any] = {
        f"environment {name}": value
        for name, value in os.environ.items()
        if name not in _NOT_A_TESTS
    }
    for place, name in REGISTRIES:
        value = getattr(importlib.import_module(place), name)
        found[f"{place}.{name}"] = value.copy() if isinstance(value, dict | list) else value
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    missing = object()
    return sorted(
        name for name in before | after if before.get(name, missing) != after.get(name, missing)
    )
