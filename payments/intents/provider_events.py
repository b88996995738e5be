"""Inbound provider events find their intent here and go the way that a call's answer goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from core import ids
from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import NotFound
from core.inbox import match_parked, register_lane_finder
from core.models import OutboxEvent
from core.outbox import subscribe_batch
from payments.intents.channels import ChannelAnswer, Outcome
from payments.intents.channels.gateway import from_provider
from payments.intents.channels.gateway_refund import from_refund
from payments.intents.models import Intent
from payments.intents.services import intent_apply
from payments.intents.services.exceptions import exception_add
from payments.intents.services.returning import payer_returned
from payments.providers.base import (
    DisputeNotice,
    EventKind,
    ProviderEvent,
    RefundAnswer,
    RefundTotal,
    Status,
)
from payments.providers.selectors import Account
from payments.providers.services import register_event_handler, register_return_handler

PROVIDER: Final = "provider"

DisputeHandler = Callable[[Intent, DisputeNotice], None]
RefundHandler = Callable[[Intent, RefundAnswer, Actor], bool]
RefundTotalHandler = Callable[[Intent, RefundTotal, datetime], bool]
_dispute_handler: DisputeHandler | None = None
_refund_handler: RefundHandler | None = None
_refund_total_handler: RefundTotalHandler | None = None


def register() -> None:
    """Take the events of every provider; called when the process starts."""
    register_event_handler(handle_provider_event)
    register_return_handler(payer_returned)
    subscribe_batch("payment.*", match_parked_of_payments)
    register_lane_finder(merchant_of)


def merchant_of(reference: str) -> UUID | None:
    """The merchant of the attempt that a reference of ours names; None for another's reference."""
    intent_id = ids.decode_or_none(Intent.PREFIX, reference)
    if intent_id is None:
        return None
    return Intent.objects.filter(pk=intent_id).values_list("merchant_id", flat=True).first()


def match_parked_of_payments(events: Sequence[OutboxEvent]) -> None:
    """Wake what is parked under the provider's ids of the payments that these events are about.

    A dispute, or a refund made at the provider, names the provider's id alone; an attempt learns it
    with the answer that the event reports.
    """
    documents = [found for event in events if (found := ids.decode_or_none("pay", event.aggregate))]
    with tenant_atomic(Scope.worker()):
        known = Intent.objects.filter(document_id__in=documents).exclude(external_id="")
        external_ids = set(known.values_list("external_id", flat=True))
    match_parked(*external_ids)


def register_dispute_handler(handler: DisputeHandler) -> None:
    """Let the room of payments take disputes."""
    global _dispute_handler
    _dispute_handler = handler


def register_refund_handler(handler: RefundHandler) -> None:
    """Let the room of payments take refunds that were made at the provider, past us.

    `handler(intent, refund, actor)` gets the payment's intent and answers whether it could act; one
    that could not yet (the payment is not settled here) gets the event again.
    """
    global _refund_handler
    _refund_handler = handler


def register_refund_total_handler(handler: RefundTotalHandler) -> None:
    """Let the room of payments see that every refund made at the provider has reached it.

    `handler(intent, total, occurred_at)` gets the payment's intent; it answers False to be asked
    again later.
    """
    global _refund_total_handler
    _refund_total_handler = handler


def handle_provider_event(event: ProviderEvent, account: Account) -> bool:
    """Apply one event; False when its object is unknown to us (yet).

    Events may come twice, late, and before the object: the saga judges them by state, so order
    does not change the end.
    """
    actor = Actor(kind=PROVIDER, id=account.provider, label=account.label, platform=True)
    if event.kind is EventKind.REFUND and event.refund is not None:
        refund = event.refund
        known = _find(account, refund.reference, refund.provider_id)
        return _apply(known, event, actor) if known else _refunded_past_us(account, refund, actor)
    intent = _find(account, event.reference, event.provider_id)
    if event.kind is EventKind.REFUND_TOTAL and event.refunded is not None:
        if intent is None or _refund_total_handler is None:
            return False
        return _refund_total_handler(intent, event.refunded, event.occurred_at)
    if event.kind is EventKind.DISPUTE and event.dispute is not None:
        if intent is None:
            return False
        if _dispute_handler is not None:
            _dispute_handler(intent, event.dispute)
        return True
    return _apply(intent, event, actor)


def _refunded_past_us(account: Account, refund: RefundAnswer, actor: Actor) -> bool:
    """Book a refund that was made at the provider's console."""
    if refund.status is Status.FAILED:
        return True
    payment = _find(account, "", refund.payment_provider_id)
    if payment is None or _refund_handler is None:
        return False
    return _refund_handler(payment, refund, actor)


def _apply(intent: Intent | None, event: ProviderEvent, actor: Actor) -> bool:
    if intent is None:
        return False
    answer = _answer(event, intent)
    if answer is None:
        return True
    if _names_another_amount(event, intent):
        # A signed event that names other money than ours is not ours to act on: a person looks at
        # it, and until then the payment's net does not become available.
        exception_add(
            intent_id=intent.id,
            code="provider_disagrees",
            message=f"The provider's event {event.event_id} names other money than this attempt."
            " Compare it with the provider's console, correct the books, and note it here.",
            actor=actor,
        )
        return True
    intent_apply(intent=intent, answer=answer, actor=actor)
    return True


def _answer(event: ProviderEvent, intent: Intent) -> ChannelAnswer | None:
    if event.refund is not None:
        answer = from_refund(event.refund, intent.amount_minor)
    elif event.payment is not None:
        answer = from_provider(event.payment)
    else:
        return None
    answer = dataclasses.replace(answer, occurred_at=event.occurred_at)
    # An event reports a change at the provider, not a refusal of a request of ours.
    return None if answer.outcome is Outcome.UNKNOWN else answer


def _names_another_amount(event: ProviderEvent, intent: Intent) -> bool:
    about = event.refund or event.payment
    if about is None:
        return False
    if about.currency and about.currency.upper() != intent.currency:
        return True
    if isinstance(about, RefundAnswer):
        return bool(about.amount_minor) and about.amount_minor != intent.amount_minor
    return about.amount_captured_minor > intent.amount_minor


def _find(account: Account, reference: str, external_id: str) -> Intent | None:
    """The intent by our reference or, where the reference is none of ours, by the provider's id."""
    with tenant_atomic(Scope.worker()):
        intents = Intent.objects.filter(provider_account_id=account.id)
        if reference:
            try:
                return intents.filter(pk=ids.decode(Intent.PREFIX, reference)).first()
            except NotFound:
                # A payment made at the provider's console carries a reference that is not ours.
                pass
        return intents.filter(external_id=external_id).first() if external_id else None
