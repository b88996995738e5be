"""Celery entry points of the saga: ids in, a service call, nothing else."""

from __future__ import annotations

import uuid

from celery import shared_task

from core.enqueue import enqueue
from payments.intents.services.recovery import check_failed, due_intents, intent_check_in_turn


@shared_task(name="intents.check_due")
def check_due() -> None:
    """Sweep: hand every intent that is due for a look to a task of its own."""
    for intent_id in due_intents():
        enqueue("intents.check", str(intent_id))


@shared_task(name="intents.check")
def check(intent_id: str) -> None:
    try:
        intent_check_in_turn(intent_id=uuid.UUID(intent_id))
    except Exception:
        check_failed(intent_id=uuid.UUID(intent_id))
        raise
