"""What a provider is asked in tests, whichever it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any, Protocol

from payments.providers.base import (
    Adapter,
    CaptureMethod,
    CapturePayment,
    CreatePayment,
    ProviderAnswer,
    RefundPayment,
    Status,
)


class Rig(Protocol):
    """A provider under test."""

    merchant_key: str

    @property
    def adapter(self) -> Adapter:
        """The adapter under test."""

    def source(self, behaviour: str) -> str:
        """A fresh token or method: ``succeeds``, ``declined``, ``challenge``,
        ``challenge_declined``."""

    def token(self) -> str:
        """A one-use source that can be saved."""

    def fault(self, kind: str) -> None:
        """Spoil the next request: ``lose_request``, ``lose_answer``, ``garble``,
        ``wrong_shape``, ``rate_limit``."""

    def charges(self, reference: str) -> int:
        """How many payments exist at the provider under a reference."""

    def refunds(self, provider_id: str) -> int:
        """How many refunds of a payment exist at the provider."""

    def answer_challenge(self, answer: ProviderAnswer, *, passed: bool) -> None:
        """What the payer does on the challenge page."""

    def event(self, answer: ProviderAnswer) -> dict[str, object]:
        """The provider's webhook about a payment's present state."""

    def sign(self, raw: bytes, *, timestamp_s: int) -> dict[str, str]:
        """Headers as the provider sends them."""


@dataclass
class Payments:
    """Makes requests of its own for a test."""

    rig: Rig

    def request(self, behaviour: str = "succeeds", **changes: Any) -> CreatePayment:
        mark = secrets.token_hex(8)
        base = CreatePayment(
            reference=f"int_{mark}",
            idempotency_key=f"key_{mark}",
            amount_minor=1999,
            currency="USD",
            source=str(changes.get("source") or self.rig.source(behaviour)),
            merchant_key=self.rig.merchant_key,
            return_url="https://shop.example/return",
        )
        return replace(base, **changes)

    def captured(self, **changes: Any) -> ProviderAnswer:
        answer = self.rig.adapter.create_payment(self.request(**changes))
        assert answer.status is Status.SUCCEEDED
        return answer

    def authorized(self) -> ProviderAnswer:
        return self.captured(capture_method=CaptureMethod.MANUAL)

    def status(self, reference: str) -> ProviderAnswer:
        return self.rig.adapter.get_payment_status(reference=reference, provider_id=None)


def capture_of(answer: ProviderAnswer, amount_minor: int) -> CapturePayment:
    return CapturePayment(
        reference=answer.reference,
        idempotency_key=f"cap_{secrets.token_hex(8)}",
        provider_id=answer.provider_id,
        amount_minor=amount_minor,
        currency=answer.currency,
    )


def refund_of(answer: ProviderAnswer, amount_minor: int) -> RefundPayment:
    mark = secrets.token_hex(8)
    return RefundPayment(
        reference=f"ref_{mark}",
        idempotency_key=f"rfk_{mark}",
        provider_id=answer.provider_id,
        amount_minor=amount_minor,
        currency=answer.currency,
    )
