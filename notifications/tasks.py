"""Celery entry points of the notifications room."""

from __future__ import annotations

from celery import shared_task

from core.enqueue import enqueue
from core.models import OutboxEvent
from notifications.services import delivery, mail


@shared_task(name="notifications.send_due_webhooks", soft_time_limit=120, time_limit=150)
def send_due_webhooks() -> None:
    delivery.send_due()


@shared_task(name="notifications.tell_of_disabled")
def tell_of_disabled() -> None:
    """Send the mails that are due; also a sweep, for the mails whose call was lost."""
    mail.tell_of_disabled()


def on_endpoint_disabled(event: OutboxEvent) -> None:
    """The relay reports a disabled endpoint: mail its owners and admins at once."""
    enqueue("notifications.tell_of_disabled")
