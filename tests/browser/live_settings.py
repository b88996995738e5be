"""Settings of the platform that browsers are driven against: tasks run where they are asked for."""

from __future__ import annotations

from config.settings.test import *  # noqa: F403

CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = False
SANDBOX_SETTLE_AFTER_S = 2
ALLOW_LOOPBACK_WEBHOOKS = True
