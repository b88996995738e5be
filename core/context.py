"""Who acts, and in which request: what every audit record and log line carries."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from core.db import Scope

ActorKind = Literal["api_key", "user", "service", "payer", "provider", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or machine behind a call, as far as services need to know it.

    `id` is the public id (`key_…`, `usr_…`) or a name for system actors; `role` is set for people.
    `scopes` are the permissions of a restricted key (empty means what the kind allows).
    """

    kind: ActorKind
    id: str
    label: str = ""
    merchant_id: uuid.UUID | None = None
    reseller_id: uuid.UUID | None = None
    platform: bool = False
    role: str = ""
    livemode: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset)
    ip: str | None = None
    user_id: uuid.UUID | None = None

    @classmethod
    def system(cls, name: str) -> Actor:
        """A background process of ours: worker, poller, relay."""
        return cls(kind="system", id=name, label=name, platform=True)

    @property
    def scope(self) -> Scope:
        """The rows that this actor may see at most."""
        if self.merchant_id is not None:
            return Scope.merchant(self.merchant_id)
        if self.reseller_id is not None:
            return Scope.reseller(self.reseller_id)
        match self.kind:
            case "system":
                return Scope.worker()
            case "service":
                # Trusted for every merchant, one at a time: the request names it.
                return Scope.intake()
        return Scope.staff()


_request_id: ContextVar[str] = ContextVar("merchantry_request_id", default="")


def request_id() -> str:
    """The id of the request (or of the event) that this code runs for; empty outside one."""
    return _request_id.get()


@contextlib.contextmanager
def bind_request_id(value: str) -> Iterator[None]:
    """Carry `value` through logs, audit records, events and tasks for the block."""
    token = _request_id.set(value)
    try:
        yield
    finally:
        _request_id.reset(token)
