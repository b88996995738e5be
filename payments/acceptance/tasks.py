"""Celery entry points: ids in, a service call, nothing else."""

from __future__ import annotations

from celery import shared_task

from payments.acceptance.services import release_due


@shared_task(name="acceptance.release_due")
def release_due_payments() -> None:
    """Sweep: make available what is due."""
    release_due()
