"""The Celery application. Tasks are entry points only: ids in, a service call, nothing else."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

# By alias, not by the setting `broker_transport`: kombu reads the address again when it connects
# again, and forgets the setting then.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "core.broker:Transport"))
app = Celery("merchantry")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
