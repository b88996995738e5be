"""The Celery application. Tasks are entry points only: ids in, a service call, nothing else."""

from __future__ import annotations

import os

from celery import Celery

from core import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

broker.install()
app = Celery("merchantry")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
