"""The status poller: finds attempts without an answer and asks the channel with our reference."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from core.context import Actor
from core.crashpoints import crash_point
from core.db import Scope, after_commit, tenant_atomic
from core.enqueue import enqueue
from core.errors import AppError
from core.liveness import holder, take_turn
from core.unit import StaleState, Writes
from payments.intents.channels import ChannelAnswer, Outcome, channel_named
from payments.intents.lock_objects import lease_due_intents, lock_intent
from payments.intents.models import Intent, Operation
from payments.intents.progress import CHECK_AFTER, Columns, action_ends_at, exception, hold_ends_at
from payments.intents.services.answers import StepRefused, intent_apply
from payments.intents.services.exceptions import exception_save
from payments.intents.services.steps import intent_advance, intent_void
from payments.intents.states import FINAL, IntentState, Step
from payments.providers.base import ProviderError
from payments.providers.calls import ProviderBusy

log = structlog.get_logger(__name__)

POLLER: Final = Actor.system("status-poller")
#: How long an intent waits in the queue before it is handed out again. One that a worker has begun
#: names it as its holder, and comes back as soon as that process has died.
_LEASE: Final = dt.timedelta(seconds=60)
#: When an intent that found its merchant's share taken is looked at again.
_NOT_YET: Final = dt.timedelta(seconds=1)
#: A request that the provider has not seen by the second look never reached it.
_GIVE_UP_AFTER_CHECKS: Final = 2
#: An attempt that could not be sent for so long ends: its payer has left long ago.
SEND_WITHIN: Final = dt.timedelta(hours=1)


def due_intents(*, limit: int = 100) -> list[uuid.UUID]:
    """Lease the intents whose next look is due: merchants in turn, the longest waiting first."""
    now = timezone.now()
    with tenant_atomic(Scope.worker()):
        return lease_due_intents(now=now, until=now + _LEASE, limit=limit)


def intent_check_in_turn(*, intent_id: uuid.UUID) -> None:
    """`intent_check`, or a second later when the merchant's share of the workers is busy."""
    with tenant_atomic(Scope.worker()):
        intent = Intent.objects.get(pk=intent_id)
    turn = take_turn(f"intents.check/{intent.merchant_id}", share=settings.CHECKS_PER_MERCHANT_MAX)
    open_intents = Intent.objects.filter(pk=intent_id, next_check_at__isnull=False)
    if turn is None:
        with tenant_atomic(Scope.worker()):
            open_intents.update(next_check_at=timezone.now() + _NOT_YET)
        return
    with turn:
        with tenant_atomic(Scope.worker()):
            open_intents.update(holder=holder(), next_check_at=timezone.now() + _LEASE)
        intent_check(intent_id=intent_id)


def bring_forward(document_id: uuid.UUID, *, merchant_id: uuid.UUID) -> bool:
    """Go on with what a process that died had begun for a document (or for a lone intent).

    Asks the channel what became of the step that was under way, and repeats it under the same key
    at the provider if it never arrived. Should the process be alive after all, the provider makes
    one effect of two requests, and the second answer finds another version of the row. What cannot
    be asked now is left to the poller.

    Returns:
        whether a step is still under way.
    """
    scope = Scope.merchant(merchant_id)
    for intent in _under_way(document_id, scope):
        try:
            _check(intent)
        except (ProviderError, AppError) as error:
            log.warning("intent.not_brought_forward", error_type=type(error).__name__)
    return bool(_under_way(document_id, scope))


def _under_way(document_id: uuid.UUID, scope: Scope) -> list[Intent]:
    with tenant_atomic(scope):
        intents = Intent.objects.filter(Q(document_id=document_id) | Q(pk=document_id))
        return list(intents.exclude(step=Step.NONE))


def intent_check(*, intent_id: uuid.UUID) -> Intent:
    """Bring one intent nearer to its end: ask what became of it, repeat what never arrived.

    One that is over stays so; what contradicts its end goes to the exceptions inbox. A step that
    was left to a worker is sent now. While the provider takes no calls, nothing changes.
    """
    with tenant_atomic(Scope.worker()):
        intent = Intent.objects.get(pk=intent_id)
    return _check(intent)


def _check(intent: Intent) -> Intent:
    if intent.unsent and intent.step and intent.state not in FINAL:
        return _send(intent)
    try:
        answer = channel_named(intent.channel).query(intent)
    except ProviderBusy as busy:
        log.info("intent.not_asked", intent_id=intent.public_id, retry_after_s=busy.retry_after_s)
        return intent
    try:
        if _has_not_arrived(intent, answer):
            return _repeat_or_give_up(intent)
        if _time_is_up(intent, answer):
            # Giving up must be the provider's word, not only ours.
            return intent_void(intent=intent, actor=POLLER)
    except StepRefused as refused:
        log.info("intent.step_refused", intent_id=intent.public_id, reason=refused.code)
        return intent
    return intent_apply(intent=intent, answer=answer, actor=POLLER)


def check_failed(*, intent_id: uuid.UUID) -> None:
    """Note that a look at an intent raised: look again ever more rarely, and show it to a person.

    A defect of ours or of a provider's must not spin, nor hide: from the third time on the intent
    is in the exceptions inbox, for staff to read the log and ask again.
    """
    with tenant_atomic(Scope.worker()):
        intent = lock_intent(intent_id)
        if intent.state in FINAL and not intent.step:
            return
        checks = intent.checks + 1
        delay = CHECK_AFTER[min(checks, len(CHECK_AFTER)) - 1]
        values: Columns = {"checks": checks, "next_check_at": timezone.now() + delay}
        if checks >= len(CHECK_AFTER):
            message = "Looking at this attempt fails again and again; the log says how."
            values |= exception(intent, "look_failed", message)
        exception_save(intent, values, POLLER)


def request_check(intent_id: uuid.UUID) -> None:
    """Have a worker look at an intent as soon as the open transaction has committed."""
    after_commit(lambda: enqueue("intents.check", str(intent_id)))


def _send(intent: Intent) -> Intent:
    """Send the step that was left to a worker; of two workers, one does.

    That it is about to be sent is committed before: should this process die in between, the poller
    asks for it like for any other step.
    """
    read_version = intent.version
    intent.unsent, intent.version, intent.holder = False, read_version + 1, holder()
    intent.next_check_at = timezone.now() + _LEASE
    try:
        with tenant_atomic(Scope.merchant(intent.merchant_id)):
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
            writes.flush()
    except StaleState:
        return intent
    crash_point("intent.taken_over")
    waited = timezone.now() - intent.created_at
    if intent.step == Step.AUTHORIZE and waited > SEND_WITHIN:
        return intent_apply(intent=intent, answer=_never_received(intent), actor=POLLER)
    try:
        return intent_advance(intent=intent, actor=POLLER, again=True)
    except StepRefused as refused:
        log.info("intent.step_refused", intent_id=intent.public_id, reason=refused.code)
        return intent


def _has_not_arrived(intent: Intent, answer: ChannelAnswer) -> bool:
    """Whether the step that was under way has had no effect at the channel."""
    if intent.step == Step.AUTHORIZE:
        return not answer.found
    waits = intent.step == Step.VOID and answer.outcome is Outcome.REQUIRES_ACTION
    return bool(intent.step) and (waits or _is_held(answer))


def _is_held(answer: ChannelAnswer) -> bool:
    return answer.outcome is Outcome.SUCCEEDED and answer.captured_minor == 0


def _time_is_up(intent: Intent, answer: ChannelAnswer) -> bool:
    """Whether the hold was never captured, or the payer never came back."""
    now = timezone.now()
    if intent.step or intent.state in FINAL or intent.operation != Operation.PAYMENT:
        return False
    if intent.state == IntentState.AUTHORIZED:
        return _is_held(answer) and hold_ends_at(intent) <= now
    return answer.outcome is Outcome.REQUIRES_ACTION and action_ends_at(intent) <= now


def _repeat_or_give_up(intent: Intent) -> Intent:
    if intent.step == Step.AUTHORIZE and intent.checks >= _GIVE_UP_AFTER_CHECKS:
        return intent_apply(intent=intent, answer=_never_received(intent), actor=POLLER)
    # The same idempotency key as before: if the first request is on its way after all, the
    # provider makes one effect of the two.
    return intent_advance(intent=intent, actor=POLLER)


def _never_received(intent: Intent) -> ChannelAnswer:
    """The answer for a provider that nothing was sent to, or that saw nothing."""
    log.info("intent.never_received", intent_id=intent.public_id)
    return ChannelAnswer(
        outcome=Outcome.FAILED,
        failure_code="provider_never_received",
        failure_message=f"The {intent.operation} never reached the provider; no money moved.",
    )
