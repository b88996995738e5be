"""Celery entry points of the kernel."""

from __future__ import annotations

import structlog
from celery import shared_task

from core import inbox, retention
from core.audit_anchor import anchor_audit_heads
from core.audit_anchor_lines import AnchorBroken, AnchorUnavailable
from core.deadline import DeadlineExceeded

log = structlog.get_logger(__name__)


@shared_task(name="core.process_inbox_message")
def process_inbox_message(message_id: str) -> None:
    """A new message came: do the one whose turn it is (`inbox.process_next` says why)."""
    inbox.process_next()


@shared_task(name="core.sweep_inbox")
def sweep_inbox() -> None:
    for message_id in inbox.sweep():
        inbox.process(message_id)


@shared_task(name="core.purge_expired")
def purge_expired() -> None:
    retention.purge_expired()


@shared_task(name="core.anchor_audit_heads")
def anchor_heads() -> None:
    """The log goes on without its anchor; the next hour's run anchors what this one could not."""
    try:
        anchor_audit_heads()
    except (AnchorBroken, AnchorUnavailable, DeadlineExceeded) as error:
        log.error("audit.not_anchored", error=str(error))
        raise
