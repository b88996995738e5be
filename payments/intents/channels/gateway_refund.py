"""Refunds of card payments, through the gateway that took the payment."""

from __future__ import annotations

from payments.intents.channels.base import ChannelAnswer, Outcome
from payments.intents.channels.gateway import ask_provider, refusal
from payments.intents.models import Intent
from payments.providers.base import ProviderError, RefundAnswer, RefundPayment, Status
from payments.providers.calls import ProviderSilent


class GatewayRefund:
    """A refund moves at once: `authorize` is the whole of it."""

    name = "gateway_refund"

    def authorize(self, intent: Intent) -> ChannelAnswer:
        request = RefundPayment(
            reference=intent.public_id,
            idempotency_key=f"{intent.public_id}-refund",
            provider_id=intent.source,
            amount_minor=intent.amount_minor,
            currency=intent.currency,
            reason=intent.about.get("reason", ""),
        )
        try:
            answer = ask_provider(intent, lambda a: a.refund_payment(request))
        except ProviderError as error:
            return refusal(error)
        return from_refund(answer, intent.amount_minor)

    def settle(self, intent: Intent) -> ChannelAnswer:
        return self.query(intent)

    def void(self, intent: Intent) -> ChannelAnswer:
        return ChannelAnswer(
            outcome=Outcome.FAILED,
            failure_code="refund_not_cancelable",
            failure_message="A refund that was sent cannot be called back.",
            refused=True,
        )

    def query(self, intent: Intent) -> ChannelAnswer:
        try:
            answer = ask_provider(
                intent,
                lambda a: a.get_refund_status(
                    reference=intent.public_id,
                    provider_id=intent.external_id or None,
                    payment_provider_id=intent.source,
                ),
            )
        except ProviderSilent:
            return ChannelAnswer(outcome=Outcome.UNKNOWN)
        return from_refund(answer, intent.amount_minor)


def from_refund(answer: RefundAnswer, amount_minor: int) -> ChannelAnswer:
    """A provider's answer about a refund of `amount_minor` in the saga's words."""
    succeeded = answer.status is Status.SUCCEEDED
    return ChannelAnswer(
        outcome=Outcome(answer.status.value),
        external_id=answer.provider_id,
        captured_minor=amount_minor if succeeded else 0,
        failure_code=answer.failure.code if answer.failure else "",
        failure_message=answer.failure.message if answer.failure else "",
        found=answer.found,
    )
