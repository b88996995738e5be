"""Who asks, as far as the web process can tell before it runs anything: whose turn a request takes.

Which tenant a request belongs to shows only after authentication. Until then it counts to the
caller's address; `note_tenant` remembers the tenant of the credential, so that the next request
with it waits in the tenant's queue. A thousand invented keys from one address have one share. What
anyone may show (a publishable key, the name of a signing key, the address of a checkout) leads to a
queue of that tenant and that address together: a stranger who shows it is in no one else's way.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from django.conf import settings
from django.db import connection

from core import deadline
from core.proxies import caller_address, network_of
from core.serving import slots


@dataclass(frozen=True, slots=True)
class Caller:
    """Who shows what: whose queue a request waits in before and after it is known.

    Args:
        credential: a digest of what was shown, the credential itself is not kept; empty for none.
        network: where it came from.
        is_secret: only its owner can have shown it.
    """

    credential: bytes = b""
    network: str = ""
    is_secret: bool = True

    def queue(self) -> str:
        """The tenant's, if the credential was accepted lately, or the address's."""
        known = known_tenants.get(self.credential) if self.credential else None
        return known or f"address:{self.network}"

    def queue_of(self, tenant: object) -> str:
        return f"tenant:{tenant}" if self.is_secret else f"tenant:{tenant}@{self.network}"


_NOBODY: Final = Caller()
#: Who the running request comes from.
current: ContextVar[Caller] = ContextVar("merchantry_caller", default=_NOBODY)


class _Tenants:
    """Which queue a credential last led to; the oldest are forgotten."""

    MOST: Final = 10_000

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._lock = Lock()

    def get(self, credential: bytes) -> str | None:
        return self._known.get(credential)

    def remember(self, credential: bytes, key: str) -> None:
        if self._known.get(credential) == key:
            return
        with self._lock:
            self._known[credential] = key
            if len(self._known) > self.MOST:
                self._known.popitem(last=False)

    def forget(self, credential: bytes) -> None:
        with self._lock:
            self._known.pop(credential, None)

    def clear(self) -> None:
        """Forget all (tests)."""
        with self._lock:
            self._known.clear()


known_tenants = _Tenants()


def note_tenant(tenant: object) -> None:
    """Count the running request, and the next ones with its credential, to this tenant.

    Called where a caller was found: authentication, the seat of a session, a payer's checkout.
    Where the tenant has its share of the slots already, the request waits for its turn; not inside
    a transaction, which holds locks.

    Raises:
        Unavailable: its turn did not come before the request's time was over.
    """
    caller = current.get()
    key = caller.queue_of(tenant)
    if caller.credential:
        known_tenants.remember(caller.credential, key)
    left_s = 0.0 if connection.in_atomic_block else deadline.cap_s(settings.REQUEST_DEADLINE_S)
    slots.charge(key, wait_s=left_s)


def caller_of(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Caller:
    peer = str((scope.get("client") or ("",))[0])
    forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
    network = network_of(caller_address(peer, forwarded))
    shown, is_secret = _shown(headers)
    if not shown:
        return Caller(network=network, is_secret=False)
    digest = hashlib.blake2b(shown, digest_size=16)
    if not is_secret:
        digest.update(network.encode())
    return Caller(digest.digest(), network, is_secret)


def _shown(headers: Mapping[bytes, bytes]) -> tuple[bytes, bool]:
    """What the caller shows, and whether only its owner can have shown it; empty for nothing."""
    authorization = headers.get(b"authorization", b"").split()
    if authorization:
        # However it is spaced, it is one credential.
        scheme, *rest = authorization
        return b" ".join([scheme.lower(), *rest]), not (rest and rest[0].startswith(b"mk_pk_"))
    if key_id := headers.get(b"x-merchantry-key-id", b"").strip():
        # Only the signature shows who it is, and that is for the application to verify.
        return key_id, False
    name = settings.SESSION_COOKIE_NAME.encode()
    for part in headers.get(b"cookie", b"").split(b";"):
        key, _, value = part.strip().partition(b"=")
        if key == name:
            return value, True
    return b"", False
