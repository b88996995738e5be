"""Celery entry points: ids in, a service call, nothing else."""

from __future__ import annotations

from celery import shared_task

from payments.checkout.services import expire_due


@shared_task(name="checkout.expire_due")
def expire_due_sessions() -> None:
    """Sweep: expire the open sessions whose time is over."""
    expire_due()
