"""Celery entry points of the ledger."""

from __future__ import annotations

import structlog
from celery import shared_task

from ledger.backends import get_ledger
from ledger.backends.tigerbeetle import TigerBeetleLedger
from ledger.services import expire_pending
from ledger.services.integrity import full_is_due, verify

log = structlog.get_logger(__name__)


@shared_task(name="ledger.expire_pending")
def expire() -> None:
    expire_pending()


@shared_task(name="ledger.verify", soft_time_limit=600, time_limit=660)
def verify_books() -> None:
    # Cut short it goes on where it stopped; the limits stay below the broker's visibility time.
    run = verify(full=full_is_due())
    log.info("ledger.verified", reason=run.coverage, count=run.transfers)
    if run.fault:
        log.error("ledger.books_off", error=run.fault, record_id=str(run.id))


@shared_task(name="ledger.sweep_notes")
def sweep_notes() -> None:
    """Settle what a crash left between PostgreSQL and the cluster; nothing to do without one."""
    ledger = get_ledger()
    if isinstance(ledger, TigerBeetleLedger):
        ledger.sweep_notes()
