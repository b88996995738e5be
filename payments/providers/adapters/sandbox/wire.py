"""The interface between the sandbox adapter and the sandbox's server.

Answers are plain JSON objects, as they would come over HTTP: the adapter trusts none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

Json = Mapping[str, object]


class ServerTimeoutError(Exception):
    """No answer came. Whether the request took effect is not known."""


class ServerRefusedError(Exception):
    """The server refused the request; nothing happened."""

    def __init__(self, *, code: str, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class SandboxServer(Protocol):
    """What the sandbox's server can be asked. Each mutating call is idempotent by its key.

    Every method may raise ServerTimeoutError; the mutating ones and
    `check_source` also ServerRefusedError.
    """

    def create_payment(
        self,
        *,
        reference: str,
        idempotency_key: str,
        amount_minor: int,
        currency: str,
        source: str,
        merchant_key: str,
        manual_capture: bool,
        off_session: bool,
        return_url: str,
    ) -> Json: ...

    def capture_payment(
        self, *, idempotency_key: str, payment: str, amount_minor: int, currency: str
    ) -> Json: ...

    def cancel_payment(self, *, idempotency_key: str, payment: str, reference: str) -> Json: ...

    def get_payment(self, *, payment: str, reference: str) -> Json | None: ...

    def refund_payment(
        self,
        *,
        reference: str,
        idempotency_key: str,
        payment: str,
        amount_minor: int,
        currency: str,
        reason: str,
    ) -> Json: ...

    def get_refund(self, *, refund: str, reference: str) -> Json | None: ...

    def check_source(self, *, source: str, merchant_key: str) -> Json: ...

    def attach(self, *, token: str, merchant_key: str, idempotency_key: str) -> Json: ...

    def list_balance_lines(
        self, *, since: datetime, until: datetime, after: str, limit: int
    ) -> list[Json]: ...

    def ping(self) -> None: ...
