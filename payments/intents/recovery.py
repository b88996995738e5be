"""The status poller: finds attempts without an answer and asks the channel with our reference."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final

import structlog
from django.db import connection
from django.utils import timezone

from core.context import Actor
from core.crashpoints import crash_point
from core.db import Scope, after_commit, tenant_atomic
from core.enqueue import enqueue
from core.unit import StaleState, Writes
from payments.intents.channels import ChannelAnswer, Outcome, channel_named
from payments.intents.exceptions import exception_save
from payments.intents.lock_objects import lock_intent
from payments.intents.models import Intent, Operation
from payments.intents.progress import CHECK_AFTER, action_ends_at, exception, hold_ends_at
from payments.intents.services import (
    CRASH_AFTER,
    StepRefused,
    intent_advance,
    intent_apply,
    intent_void,
)
from payments.intents.states import FINAL, IntentState, Step
from payments.providers.calls import ProviderBusy

log = structlog.get_logger(__name__)

POLLER: Final = Actor.system("status-poller")
#: While one poller works on an intent, others leave it alone for so long.
_LEASE: Final = dt.timedelta(seconds=60)
#: A request that the provider has not seen by the second look never reached it.
_GIVE_UP_AFTER_CHECKS: Final = 2
#: An attempt that could not be sent for so long ends: its payer has left long ago.
SEND_WITHIN: Final = dt.timedelta(hours=1)


def due_intents(*, limit: int = 100) -> list[uuid.UUID]:
    """Lease the intents whose next look is due, the longest waiting first."""
    with tenant_atomic(Scope.worker()), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE intents_intent SET next_check_at = %s WHERE id IN ("
            " SELECT id FROM intents_intent WHERE next_check_at <= %s ORDER BY next_check_at"
            " LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id",
            [timezone.now() + _LEASE, timezone.now(), limit],
        )
        return [row[0] for row in cursor.fetchall()]


def intent_check(*, intent_id: uuid.UUID) -> Intent:
    """Bring one intent nearer to its end: ask what became of it, repeat what never arrived.

    One that is over stays so; what contradicts its end goes to the exceptions inbox. A step that
    was left to a worker is sent now. While the provider takes no calls, nothing changes.
    """
    with tenant_atomic(Scope.worker()):
        intent = Intent.objects.get(pk=intent_id)
    if intent.unsent and intent.step and intent.state not in FINAL:
        return _send(intent)
    try:
        answer = channel_named(intent.channel).query(intent)
    except ProviderBusy as busy:
        log.info("intent.not_asked", intent=intent.public_id, retry_after_s=busy.retry_after_s)
        return intent
    try:
        if _has_not_arrived(intent, answer):
            return _repeat_or_give_up(intent)
        if _time_is_up(intent, answer):
            # Giving up must be the provider's word, not only ours.
            return intent_void(intent=intent, actor=POLLER)
    except StepRefused as refused:
        log.info("intent.step_refused", intent=intent.public_id, reason=refused.code)
        return intent
    return intent_apply(intent=intent, answer=answer, actor=POLLER)


def check_failed(*, intent_id: uuid.UUID) -> None:
    """Note that a look at an intent raised: look again ever more rarely, and show it to a person.

    A defect of ours or of a provider's must not spin, nor hide: from the third time on the intent
    stands in the exceptions inbox, where somebody can read the log and ask again.
    """
    with tenant_atomic(Scope.worker()):
        intent = lock_intent(intent_id)
        if intent.state in FINAL and not intent.step:
            return
        checks = intent.checks + 1
        delay = CHECK_AFTER[min(checks, len(CHECK_AFTER)) - 1]
        values: dict[str, Any] = {"checks": checks, "next_check_at": timezone.now() + delay}
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
    intent.unsent, intent.version = False, read_version + 1
    intent.next_check_at = timezone.now() + CRASH_AFTER
    try:
        with tenant_atomic(Scope.worker()):
            writes = Writes()
            writes.update(
                intent,
                "unsent",
                "version",
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
        log.info("intent.step_refused", intent=intent.public_id, reason=refused.code)
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
    """What stands for the answer of a provider that nothing was sent to, or that saw nothing."""
    log.info("intent.never_received", intent=intent.public_id)
    return ChannelAnswer(
        outcome=Outcome.FAILED,
        failure_code="provider_never_received",
        failure_message=f"The {intent.operation} never reached the provider; no money moved.",
    )
