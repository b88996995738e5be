"""What a channel said, committed: intent, document, events and books in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from core import connections, deadline
from core.context import Actor
from core.crashpoints import crash_point
from core.db import Scope, tenant_atomic
from core.errors import Conflict
from core.idempotency import Claim
from core.unit import StaleState, Writes
from ledger.services import TransferSpec, post_with_commit
from payments.intents import bookings
from payments.intents.channels import ChannelAnswer
from payments.intents.documents import Document, handler_for
from payments.intents.failures import PROVIDER_UNAVAILABLE, is_our_fault, shown_failure
from payments.intents.models import Intent
from payments.intents.progress import RESOLVED, Move, decide
from payments.intents.states import FINAL, IntentState, Step, check_move

log = structlog.get_logger(__name__)

#: What committing an answer may take, even where the request's time is over.
COMMIT_S: Final = 5.0


Shown = TypeVar("Shown")


class IntentClaim(Claim):
    """A claim whose answer shows the intent itself instead of its document."""


@dataclass(frozen=True, slots=True)
class Accepted(Generic[Shown]):
    """What the answer to a claim is about, where a worker goes on with it: 202."""

    shown: Shown


def intent_apply(
    *,
    intent: Intent,
    answer: ChannelAnswer,
    actor: Actor,
    document: Document | None = None,
    claim: Claim | None = None,
) -> Intent:
    """Commit what the channel said: intent, document, events and books in one transaction.

    An answer that changes nothing, or that comes late, is harmless: a final intent never moves
    again. When another process has moved the intent meanwhile (a webhook overtook the call), the
    row is read again and the answer is judged against its new state. Likewise when the
    database went away before it confirmed the commit, which may or may not have been made.
    """
    asked = intent.step
    # What is known about money is written down, also when the request's time is over meanwhile.
    with deadline.at_least(COMMIT_S):
        ends_at = time.monotonic() + min(connections.AWAY_MAX_S, COMMIT_S)
        for _ in range(3):
            try:
                return commit_answer(intent, answer, actor, document, claim, asked=asked)
            except StaleState:
                intent, document = reload(intent), None
            except (OperationalError, InterfaceError) as error:
                connections.regain(error, ends_at=ends_at)
                intent, document = reload(intent), None
    log.warning("intent.contended", intent_id=intent.public_id)
    return reload(intent)


def commit_answer(
    intent: Intent,
    answer: ChannelAnswer,
    actor: Actor,
    document: Document | None,
    claim: Claim | None,
    *,
    asked: str,
) -> Intent:
    """As `intent_apply`, once: the answer holds for the intent as it was read, and for no other.

    Raises:
        StaleState: another answer, or a worker, has moved the intent meanwhile.
    """
    handler = handler_for(intent)
    before, was_final = intent.state, _is_final(intent)
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        if document is None and handler is not None:
            document = handler.load(intent)
            # The document is current; an intent read before its lock may not be, and
            # judging the one by the other would call a repeated answer a conflict.
            if Intent.objects.values_list("version", flat=True).get(pk=intent.pk) != intent.version:
                raise StaleState("The payment attempt was moved by another answer.")
        writes = Writes()
        move = decide(intent, answer)
        transfers: list[TransferSpec] = []
        if move.changes:
            transfers, save = _apply_move(intent, move)
            if "exceptions" in move.values:
                audit_exception(writes, intent, actor)
            if handler is None:
                _audit_state(writes, intent, before, actor)
            elif not was_final:
                assert document is not None  # given, or loaded above
                handler.apply(writes, document, intent, answer, actor)
            # The document's row before the intent's, as `handler.load` locks them: two who bring
            # an answer at the same time then wait for each other and never in a circle.
            save(writes)
        refused = _refusal(answer) if asked in (Step.SETTLE, Step.VOID) else None
        if claim is not None:
            claim.finish(writes, refused or shown_by(claim, document, intent))
        writes.flush_with_commit()
        post_with_commit(transfers)
    crash_point("intent.committed")
    if refused is not None:
        raise refused
    return intent


def shown_by(claim: Claim, document: Document | None, intent: Intent) -> Document:
    """What the answer to a claim is about."""
    return intent if isinstance(claim, IntentClaim) else document or intent


class StepRefused(Conflict):
    """The channel refused a capture or a cancellation; the payment is unchanged."""

    default_code = "provider_refused"


class StepFailed(StepRefused):
    """As StepRefused, for a fault of ours: neither the card nor the caller can help it."""

    type = "api_error"
    default_code = PROVIDER_UNAVAILABLE


def _refusal(answer: ChannelAnswer) -> StepRefused | None:
    if not answer.refused:
        return None
    code, message = shown_failure(answer.failure_code, answer.failure_message)
    kind = StepFailed if is_our_fault(answer.failure_code) else StepRefused
    return kind(message or "The provider refused this.", code=code or None)


def audit_exception(writes: Writes, intent: Intent, actor: Actor) -> None:
    """Record the newest reason why a person has to look, or what they found."""
    newest = intent.exceptions[-1]
    resolved = newest["code"] == RESOLVED
    writes.record(
        intent,
        action="intent.exception_resolved" if resolved else "intent.exception",
        event=None,
        actor=actor,
        after={"code": newest["code"], "message": newest["message"]},
    )


def _audit_state(writes: Writes, intent: Intent, before: str, actor: Actor) -> None:
    """Record a new state of an intent without a document, which would record its own."""
    if intent.state != before:
        writes.record(
            intent,
            action=f"intent.{intent.state.lower()}",
            event=None,
            actor=actor,
            before={"state": before},
            after={"state": intent.state, "amount": intent.settled_amount_minor},
        )


def _apply_move(intent: Intent, move: Move) -> tuple[list[TransferSpec], Callable[[Writes], None]]:
    """Write the move into the intent; return its transfers, and how its row is saved."""
    before = intent.state
    read_version = intent.version
    if move.state is not None and move.state != before:
        check_move(before, move.state)
        intent.state = move.state
    intent.version = read_version + 1
    for name, value in move.values.items():
        setattr(intent, name, value)
    intent.updated_at, intent.holder = timezone.now(), None
    transfers = bookings.legs(intent, before=IntentState(before))

    def save(writes: Writes) -> None:
        writes.update(
            intent,
            "state",
            "version",
            "updated_at",
            "holder",
            "fee_minor",
            "reseller_fee_minor",
            *move.values,
            expect={"version": read_version},
            what="The payment attempt",
        )

    return transfers, save


def reload(intent: Intent) -> Intent:
    """The intent as stored now."""
    with tenant_atomic(Scope.merchant(intent.merchant_id)):
        return Intent.objects.get(pk=intent.pk)


def _is_final(intent: Intent) -> bool:
    """Whether the intent has reached an end from which nothing moves it."""
    return intent.state in FINAL
