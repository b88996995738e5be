"""Celery entry points of the providers."""

from __future__ import annotations

from celery import shared_task

from payments.providers import services
from payments.providers.adapters.sandbox import delivery


@shared_task(name="providers.deliver_sandbox_events")
def deliver_sandbox_events() -> None:
    delivery.deliver_due()


@shared_task(name="providers.check_health")
def check_health() -> None:
    services.health_check_all()
