"""Celery entry points of the ledger."""

from __future__ import annotations

import structlog
from celery import shared_task

from ledger.integrity import verify
from ledger.services import expire_pending

log = structlog.get_logger(__name__)


@shared_task(name="ledger.expire_pending")
def expire() -> None:
    expire_pending()


@shared_task(name="ledger.verify", soft_time_limit=3000, time_limit=3300)
def verify_books() -> None:
    run = verify()
    if run.fault:
        log.error("ledger.books_off", fault=run.fault, run_id=str(run.id))
