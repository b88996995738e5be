"""What becomes of payments and refunds when their intent moves; the saga calls these."""

from __future__ import annotations

import datetime as dt
from typing import Final

from django.utils import timezone

from core.context import Actor
from core.unit import Writes
from payments.acceptance import events
from payments.acceptance.lock_objects import lock_payment, lock_refund
from payments.acceptance.models import Payment, Refund
from payments.acceptance.services.recording import (
    move_payment,
    move_refund,
    record_payment,
    save_payment,
)
from payments.acceptance.states import PaymentStatus, RefundStatus
from payments.intents.channels import ChannelAnswer, Outcome
from payments.intents.failures import shown_failure
from payments.intents.models import Intent
from payments.intents.progress import hold_ends_at
from payments.intents.states import IntentState

#: How long after its capture the net of a payment becomes available.
AVAILABLE_AFTER: Final = dt.timedelta(days=2)

_ENDS: Final = {
    IntentState.FAILED: PaymentStatus.FAILED,
    IntentState.CANCELED: PaymentStatus.CANCELED,
    IntentState.EXPIRED: PaymentStatus.CANCELED,
}


class PaymentHandler:
    """Moves a payment along with the intent that counts for it."""

    def load(self, intent: Intent) -> Payment:
        assert intent.document_id is not None
        return lock_payment(intent.document_id)

    def apply(
        self,
        writes: Writes,
        document: Payment,
        intent: Intent,
        answer: ChannelAnswer,
        actor: Actor,
    ) -> None:
        payment = document
        before = (payment.status, payment.amount_capturable_minor, payment.next_action_url)
        payment.next_action_url = intent.next_action_url
        if intent.card and not payment.card:
            payment.card = intent.card
            payment.last4 = str(intent.card.get("last4", ""))
        match IntentState(intent.state):
            case IntentState.SETTLED:
                self._complete(writes, payment, intent, actor)
            case IntentState.AUTHORIZED:
                self._authorize(writes, payment, intent, actor)
            case IntentState.FAILED | IntentState.CANCELED | IntentState.EXPIRED as state:
                self._end(writes, payment, intent, _ENDS[state], actor)
            case _:
                self._wait(writes, payment, intent, answer, actor)
        if before[:2] != (payment.status, payment.amount_capturable_minor):
            save_payment(writes, payment, *_MUTABLE)
        elif before[2] != payment.next_action_url:
            save_payment(writes, payment, "next_action_url", "card", "last4")

    def _complete(self, writes: Writes, payment: Payment, intent: Intent, actor: Actor) -> None:
        now = timezone.now()
        payment.amount_captured_minor = intent.settled_amount_minor
        payment.amount_capturable_minor = 0
        payment.fee_minor = intent.fee_minor
        payment.completed_at = now
        payment.available_at = now + AVAILABLE_AFTER
        move_payment(
            writes,
            payment,
            PaymentStatus.COMPLETED,
            actor=actor,
            amount_minor=payment.amount_captured_minor,
        )

    def _authorize(self, writes: Writes, payment: Payment, intent: Intent, actor: Actor) -> None:
        if payment.amount_capturable_minor:
            return
        if payment.status == PaymentStatus.REQUIRES_ACTION:
            move_payment(writes, payment, PaymentStatus.PROCESSING, actor=actor)
        payment.amount_capturable_minor = intent.amount_minor
        payment.capture_before = hold_ends_at(intent)
        record_payment(
            writes,
            payment,
            events.PAYMENT_AUTHORIZED,
            actor=actor,
            amount_minor=intent.amount_minor,
        )

    def _end(
        self,
        writes: Writes,
        payment: Payment,
        intent: Intent,
        status: PaymentStatus,
        actor: Actor,
    ) -> None:
        payment.amount_capturable_minor = 0
        payment.failure_code, payment.failure_message = shown_failure(
            intent.failure_code, intent.failure_message
        )
        move_payment(writes, payment, status, actor=actor, message=payment.failure_message)

    def _wait(
        self,
        writes: Writes,
        payment: Payment,
        intent: Intent,
        answer: ChannelAnswer,
        actor: Actor,
    ) -> None:
        if answer.outcome is Outcome.REQUIRES_ACTION:
            # A payer who has left the challenge is not sent back to it.
            if payment.status == PaymentStatus.PROCESSING and intent.action_left_at is None:
                move_payment(writes, payment, PaymentStatus.REQUIRES_ACTION, actor=actor)
        elif answer.outcome is Outcome.PENDING and payment.status == PaymentStatus.REQUIRES_ACTION:
            move_payment(writes, payment, PaymentStatus.PROCESSING, actor=actor)


_MUTABLE: Final = (
    "status",
    "amount_capturable_minor",
    "amount_captured_minor",
    "fee_minor",
    "capture_before",
    "completed_at",
    "available_at",
    "card",
    "last4",
    "next_action_url",
    "failure_code",
    "failure_message",
)


class RefundHandler:
    """Moves a refund, and gives the amount back when it fails."""

    def load(self, intent: Intent) -> Refund:
        assert intent.document_id is not None
        payment, refund = lock_refund(intent.document_id)
        refund.payment = payment
        return refund

    def apply(
        self, writes: Writes, document: Refund, intent: Intent, answer: ChannelAnswer, actor: Actor
    ) -> None:
        refund, payment = document, document.payment
        if intent.state == IntentState.SETTLED:
            move_refund(writes, refund, payment, RefundStatus.COMPLETED, actor=actor)
        elif intent.state in _ENDS:
            payment.amount_refunded_minor -= refund.amount_minor
            refund.failure_code, refund.failure_message = shown_failure(
                intent.failure_code, intent.failure_message
            )
            save_payment(writes, payment, "amount_refunded_minor")
            move_refund(writes, refund, payment, RefundStatus.FAILED, actor=actor)
