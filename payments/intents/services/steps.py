"""The steps of the saga: one way in for all money, and what is asked of a channel.

    intent_submit   validate, reserve, commit; ask the channel; commit its answer
    intent_settle   capture what was authorised
    intent_void     give up what was authorised

What is about to be asked of a channel is committed before it is asked (`Intent.step`), so a process
that is killed between any two lines leaves a row that the poller brings to the right end.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypedDict

import structlog
from django.utils import timezone

from core import deadline, liveness
from core.context import Actor
from core.crashpoints import crash_point
from core.db import Scope, after_commit, tenant_atomic
from core.enqueue import enqueue
from core.idempotency import Claim
from core.rows import new_row
from core.unit import Writes
from ledger.services import TransferSpec, post_with_commit
from payments.intents import bookings
from payments.intents.channels import ChannelAnswer, Outcome, channel_named
from payments.intents.documents import Document, WriteDocument
from payments.intents.models import Intent, Operation
from payments.intents.services.answers import (
    COMMIT_S,
    Accepted,
    commit_answer,
    intent_apply,
    shown_by,
)
from payments.intents.states import IllegalMove, IntentState, Step
from payments.providers.amounts import check_charge, check_step
from payments.providers.calls import ProviderBusy, ProviderNotReady
from payments.providers.selectors import account_get, route

log = structlog.get_logger(__name__)

#: The poller takes over as soon as the process that asked the channel has died (`Intent.holder`).
#: This is for one that lives and hangs: a provider's answer takes no longer than its time-out, and
#: one that comes later is judged like any other.
CRASH_AFTER: Final = dt.timedelta(seconds=60)

_CHANNELS: Final = {Operation.PAYMENT: "gateway", Operation.REFUND: "gateway_refund"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the merchant pays for the payment; fixed in the intent when it is validated."""

    fee_bps: int = 0
    fee_fixed_minor: int = 0
    reseller_share_bps: int = 0


class About(TypedDict, total=False):
    """What is sent to the provider besides the money."""

    description: str
    metadata: dict[str, str]
    #: Of a refund.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a document wants moved. Amounts are in minor units of `currency`.

    `source` is a token or saved method for payments; for refunds the provider's own id of the
    payment. A refund names the account that took the payment, so it is not routed.
    """

    merchant_id: uuid.UUID
    reseller_id: uuid.UUID
    livemode: bool
    operation: Operation
    amount_minor: int
    currency: str
    source: str
    document_type: str
    document_id: uuid.UUID | None = None
    manual_capture: bool = False
    return_url: str = ""
    statement_descriptor: str = ""
    price: Price = field(default_factory=Price)
    refers_to: Intent | None = None
    provider_account_id: uuid.UUID | None = None
    tags: tuple[str, ...] = ()
    about: About = field(default_factory=About)


def intent_submit(
    *,
    draft: Draft,
    actor: Actor,
    document: WriteDocument,
    reserve: Callable[[Intent], list[TransferSpec]] | None = None,
    claim: Claim | None = None,
) -> Intent:
    """Open an intent and take it as far as the channel's first answer. The one way in.

    Args:
        document: adds the document's rows to the unit of work and returns the document; it runs in
            the transaction that also reserves the funds, before the channel hears anything.
        reserve: the pending transfers, where the operation's own do not fit.
        claim: the idempotency claim whose answer commits with the channel's.

    Raises:
        InvalidRequest: no route for the amount and currency, or an amount that the provider does
            not take.
        LedgerRefused: the books do not take the reservation (a closed account).
    """
    intent = _validated(draft)
    check = check_charge if intent.operation == Operation.PAYMENT else check_step
    check(_provider_of(intent), intent.amount_minor, intent.currency)
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        writes = Writes()
        made = document(writes, intent)
        writes.insert(intent)
        if claim is not None:
            claim.begin(writes, shown_by(claim, made, intent).id)
        writes.flush_with_commit()
        post_with_commit((reserve or bookings.reservation)(intent))
    crash_point("intent.reserved")
    return intent_advance(intent=intent, actor=actor, document=made, claim=claim)


def intent_adopt(
    *,
    draft: Draft,
    external_id: str,
    answer: ChannelAnswer,
    actor: Actor,
    document: WriteDocument,
    reserve: Callable[[Intent], list[TransferSpec]],
) -> Intent:
    """Take up a movement that happened at the channel without us, under the channel's own id.

    Nothing is asked of the channel; otherwise as `intent_submit`. Should we die between the two
    commits, the poller asks what became of it. The caller's `document` makes sure, under a lock,
    that no intent has it already.
    """
    intent = _validated(draft)
    intent.step, intent.external_id = Step.NONE, external_id
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        writes = Writes()
        made = document(writes, intent)
        writes.insert(intent)
        writes.flush_with_commit()
        post_with_commit(reserve(intent))
    return intent_apply(intent=intent, answer=answer, actor=actor, document=made)


def intent_settle(
    *,
    intent: Intent,
    amount_minor: int,
    actor: Actor,
    document: Document | None = None,
    claim: Claim | None = None,
) -> Intent:
    """Capture `amount_minor` of an authorised intent; the remainder is released.

    A capture or release that was left to a worker and is not sent yet gives way to this one, as it
    does to `intent_void`.

    The caller holds no transaction. Two captures at once: the second finds another version and
    gets StaleState.

    Raises:
        IllegalMove: the intent is not authorised, or a step is under way.
        InvalidRequest: an amount that the provider does not take.
    """
    check_step(_provider_of(intent), amount_minor, intent.currency)
    return _take_step(
        intent,
        Step.SETTLE,
        actor=actor,
        settle_amount_minor=amount_minor,
        document=document,
        claim=claim,
    )


def intent_void(
    *, intent: Intent, actor: Actor, document: Document | None = None, claim: Claim | None = None
) -> Intent:
    """Release what was authorised, or give up an attempt that waits for the payer.

    Raises:
        IllegalMove: the intent is final, or a step is under way that may move money.
    """
    return _take_step(intent, Step.VOID, actor=actor, document=document, claim=claim)


def is_withdrawable(intent: Intent) -> bool:
    """Whether nothing of the attempt was sent yet, so that it can end without the provider."""
    return intent.unsent and intent.state == IntentState.VALIDATED


def intent_withdraw(
    *, intent: Intent, actor: Actor, document: Document, claim: Claim | None = None
) -> Intent:
    """Cancel an attempt of which nothing was sent; the provider is not asked.

    Raises:
        IllegalMove: it was sent.
        StaleState: a worker has begun to send it meanwhile.
    """
    if not is_withdrawable(intent):
        raise IllegalMove("This attempt was sent to the provider already.")
    # For the judgement alone: an attempt that is given up on request is canceled, not expired.
    intent.step = Step.VOID
    answer = ChannelAnswer(outcome=Outcome.FAILED, canceled=True)
    return commit_answer(intent, answer, actor, document, claim, asked=Step.NONE)


def intent_advance(
    *,
    intent: Intent,
    actor: Actor,
    document: Document | None = None,
    claim: Claim | None = None,
    again: bool = False,
) -> Intent:
    """Ask the channel for the step that is written in the intent, and commit its answer.

    Where the provider takes no call now, nothing was sent, and the step is left to a worker: at
    once, or, where a worker is calling (`again`) or the provider itself did not take the request,
    when the provider may take calls again.
    """
    channel = channel_named(intent.channel)
    ask = {Step.AUTHORIZE: channel.authorize, Step.SETTLE: channel.settle, Step.VOID: channel.void}
    try:
        answer = ask[Step(intent.step)](intent)
    except ProviderBusy as busy:
        spread = random.uniform(1, 1.5)  # noqa: S311 - jitter
        later = again or isinstance(busy, ProviderNotReady)
        pause_s = busy.retry_after_s * spread if later else 0.0
        return _hand_over(intent, pause_s, document=document, claim=claim)
    crash_point(f"intent.{intent.step}.answered")
    return intent_apply(intent=intent, answer=answer, actor=actor, document=document, claim=claim)


def _hand_over(
    intent: Intent, pause_s: float, *, document: Document | None, claim: Claim | None
) -> Intent:
    """Leave the step that is written to a worker, and finish the claim: accepted (202).

    Without a pause a worker is called; should the message be lost, the sweep finds the intent.
    """
    read_version = intent.version
    intent.unsent, intent.version, intent.holder = True, read_version + 1, None
    intent.next_check_at = timezone.now() + dt.timedelta(seconds=pause_s)
    with deadline.at_least(COMMIT_S), tenant_atomic(Scope.merchant(intent.merchant_id)):
        writes = Writes()
        writes.update(
            intent,
            "unsent",
            "version",
            "holder",
            "next_check_at",
            expect={"version": read_version},
            what="The payment attempt",
        )
        if claim is not None:
            claim.finish(writes, Accepted(shown_by(claim, document, intent)))
        writes.flush_with_commit()
        if not pause_s:
            after_commit(lambda: enqueue("intents.check", str(intent.id)))
    log.info("intent.handed_over", intent_id=intent.public_id, state=intent.step)
    return intent


def _provider_of(intent: Intent) -> str:
    assert intent.provider_account_id is not None
    return account_get(intent.provider_account_id).provider


def _validated(draft: Draft) -> Intent:
    """Route and price a draft; nothing is written yet."""
    account_id = draft.provider_account_id
    if account_id is None:
        account_id = route(
            currency=draft.currency,
            amount_minor=draft.amount_minor,
            merchant_id=draft.merchant_id,
            livemode=draft.livemode,
        ).id
    intent = new_row(
        Intent,
        merchant_id=draft.merchant_id,
        reseller_id=draft.reseller_id,
        livemode=draft.livemode,
        document_type=draft.document_type,
        document_id=draft.document_id,
        operation=draft.operation,
        channel=_CHANNELS[draft.operation],
        state=IntentState.VALIDATED,
        step=Step.AUTHORIZE,
        manual_capture=draft.manual_capture,
        amount_minor=draft.amount_minor,
        currency=draft.currency,
        fee_bps=draft.price.fee_bps,
        fee_fixed_minor=draft.price.fee_fixed_minor,
        reseller_share_bps=draft.price.reseller_share_bps,
        provider_account_id=account_id,
        source=draft.source,
        return_url=draft.return_url,
        statement_descriptor=draft.statement_descriptor,
        tags=list(draft.tags),
        about=draft.about,
        next_check_at=timezone.now() + CRASH_AFTER,
        holder=liveness.holder(),
    )
    if draft.refers_to is not None:
        # The channel reads the whole row.
        intent.refers_to = draft.refers_to
    return intent


def _take_step(
    intent: Intent,
    step: Step,
    *,
    actor: Actor,
    document: Document | None,
    claim: Claim | None,
    settle_amount_minor: int | None = None,
) -> Intent:
    allowed = (
        {IntentState.AUTHORIZED}
        if step == Step.SETTLE
        else {
            IntentState.VALIDATED,
            IntentState.AUTHORIZED,
        }
    )
    # What was left to a worker and is not sent yet gives way: the hold is as it was.
    gives_way = intent.unsent and intent.state == IntentState.AUTHORIZED
    if intent.state not in allowed or (intent.step and not gives_way):
        raise IllegalMove(
            f"This cannot be done now: the attempt is {intent.state.lower()}"
            + (f" and a step ({intent.step}) is under way." if intent.step else ".")
        )
    read_version = intent.version
    if not (gives_way and (intent.step, intent.settle_amount_minor) == (step, settle_amount_minor)):
        # Another request; the same one that was not sent keeps its number, and with it its key.
        intent.steps += 1
    intent.step, intent.version, intent.unsent = step, read_version + 1, False
    intent.settle_amount_minor = settle_amount_minor
    intent.next_check_at = timezone.now() + CRASH_AFTER
    intent.holder = liveness.holder()
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        writes = Writes()
        writes.update(
            intent,
            "step",
            "steps",
            "unsent",
            "version",
            "settle_amount_minor",
            "next_check_at",
            "holder",
            expect={"version": read_version},
            what="The payment attempt",
        )
        # Should we die now, the poller finishes the step: who asked for it must stand somewhere.
        writes.record(
            intent,
            action=f"intent.{step}_requested",
            event=None,
            actor=actor,
            after={"amount": settle_amount_minor} if step == Step.SETTLE else None,
        )
        if claim is not None:
            claim.begin(writes, intent.document_id or intent.id)
        writes.flush()
    crash_point(f"intent.{step}.begun")
    return intent_advance(intent=intent, actor=actor, document=document, claim=claim)
