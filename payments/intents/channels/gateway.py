"""Card payments through a provider's gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from core import ids
from core.enqueue import enqueue
from payments.intents.channels.base import ChannelAnswer, Outcome
from payments.intents.models import Intent
from payments.intents.returns import return_address
from payments.providers.base import (
    KEY_REUSED,
    Adapter,
    CancelPayment,
    CaptureMethod,
    CapturePayment,
    CreatePayment,
    ProviderAnswer,
    ProviderError,
)
from payments.providers.calls import ProviderSilent, provider_call

_T = TypeVar("_T")


def ask_provider(intent: Intent, send: Callable[[Adapter], _T]) -> _T:
    """Ask the provider of the intent's account, never inside a transaction.

    An answer that comes when it is not waited for any more has the poller look at once.

    Raises:
        ProviderBusy: nothing was sent.
        ProviderError: as the adapter raises it; not permanent where no answer came.
    """
    assert intent.provider_account_id is not None
    intent_id = str(intent.id)
    return provider_call(
        account_id=intent.provider_account_id,
        merchant_id=intent.merchant_id,
        send=send,
        on_late=lambda: enqueue("intents.check", intent_id),
    )


def refusal(error: ProviderError) -> ChannelAnswer:
    """A request that the provider refused: failed permanently, or unknown and worth repeating.

    A key that the provider has seen with another request proves that an earlier request of this
    attempt arrived; what became of it has to be asked.
    """
    if not error.permanent or error.code == KEY_REUSED:
        return ChannelAnswer(outcome=Outcome.UNKNOWN)
    return ChannelAnswer(
        outcome=Outcome.FAILED,
        failure_code=error.code,
        failure_message=error.message,
        refused=True,
    )


class GatewayPayment:
    """Authorises and captures through the adapter of the routed account."""

    name = "gateway"

    def authorize(self, intent: Intent) -> ChannelAnswer:
        request = CreatePayment(
            reference=intent.public_id,
            idempotency_key=f"{intent.public_id}-authorize",
            amount_minor=intent.amount_minor,
            currency=intent.currency,
            source=intent.source,
            merchant_key=ids.encode("mer", intent.merchant_id),
            capture_method=(
                CaptureMethod.MANUAL if intent.manual_capture else CaptureMethod.AUTOMATIC
            ),
            description=intent.about.get("description", ""),
            statement_descriptor=intent.statement_descriptor,
            metadata=intent.about.get("metadata", {}),
        )

        def send(adapter: Adapter) -> ProviderAnswer:
            # A provider outside sends the payer straight to this address: over us, the payment is
            # up to date when the shop sees its payer again.
            through_us = adapter.is_remote and intent.return_url
            address = return_address(intent.public_id) if through_us else intent.return_url
            return adapter.create_payment(dataclasses.replace(request, return_url=address))

        try:
            return from_provider(ask_provider(intent, send))
        except ProviderError as error:
            return dataclasses.replace(refusal(error), refused=False)

    def settle(self, intent: Intent) -> ChannelAnswer:
        amount_minor = intent.settle_amount_minor or intent.amount_minor
        request = CapturePayment(
            reference=intent.public_id,
            idempotency_key=f"{intent.public_id}-settle-{intent.steps}",
            provider_id=intent.external_id,
            amount_minor=amount_minor,
            currency=intent.currency,
        )
        try:
            return from_provider(ask_provider(intent, lambda a: a.capture_payment(request)))
        except ProviderError as error:
            return refusal(error)

    def void(self, intent: Intent) -> ChannelAnswer:
        request = CancelPayment(
            reference=intent.public_id,
            idempotency_key=f"{intent.public_id}-void-{intent.steps}",
            provider_id=intent.external_id,
        )
        try:
            return from_provider(ask_provider(intent, lambda a: a.cancel_payment(request)))
        except ProviderError as error:
            return refusal(error)

    def query(self, intent: Intent) -> ChannelAnswer:
        try:
            answer = ask_provider(
                intent,
                lambda a: a.get_payment_status(
                    reference=intent.public_id,
                    provider_id=intent.external_id or None,
                    since=intent.created_at,
                ),
            )
        except ProviderSilent:
            return ChannelAnswer(outcome=Outcome.UNKNOWN)
        return from_provider(answer)


def from_provider(answer: ProviderAnswer) -> ChannelAnswer:
    """A provider's answer about a payment in the saga's words."""
    card = answer.card
    return ChannelAnswer(
        outcome=Outcome(answer.status.value),
        external_id=answer.provider_id,
        captured_minor=answer.amount_captured_minor,
        failure_code=answer.decline.code if answer.decline else "",
        failure_message=answer.decline.message if answer.decline else "",
        next_action_url=answer.next_action_url,
        canceled=answer.canceled,
        found=answer.found,
        card=dataclasses.asdict(card) if card else {},
    )
