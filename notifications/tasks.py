"""Celery entry points of the notifications room."""

from __future__ import annotations

from celery import shared_task

from notifications import delivery


@shared_task(name="notifications.send_due_webhooks", soft_time_limit=120, time_limit=150)
def send_due_webhooks() -> None:
    delivery.send_due()
