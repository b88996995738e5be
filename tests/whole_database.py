"""The functions that work on every row of a database, and so only in a test that has its own.

In a database that many tests share, what such a function finds, and in which order, depends on
which tests ran before. A call without the fixture `own_database` is an error, whoever makes it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, Final

#: By where they are defined and by where a package offers them.
FUNCTIONS: Final = (
    "core.inbox.sweep",
    "core.retention.purge_expired",
    "core.rotation.rotate",
    "ledger.services.integrity.verify",
    "ledger.replay.finish",
    "ledger.replay.replay",
    "ledger.services.expire_pending",
    "ledger.services.posting.expire_pending",
    "payments.acceptance.services.release.release_due",
    "payments.acceptance.services.release_due",
    "payments.checkout.services.expire_due",
    "payments.checkout.services.sessions.expire_due",
    "payments.intents.services.recovery.due_intents",
)


def guard(has_its_own: Callable[[], bool]) -> None:
    """Replace the functions, before a test or a task imports them, by ones that ask first."""
    for path in FUNCTIONS:
        place, _, name = path.rpartition(".")
        module = importlib.import_module(place)
        setattr(module, name, _guarded(getattr(module, name), path, has_its_own))


def _guarded(
    function: Callable[..., Any], path: str, has_its_own: Callable[[], bool]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def ask_first(*args: Any, **kwargs: Any) -> Any:
        if not has_its_own():
            raise RuntimeError(
                f"{path} works on every row of the database, and other tests have left some in"
                " this one. Give the test the fixture own_database."
            )
        return function(*args, **kwargs)

    return ask_first
