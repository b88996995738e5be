"""Settings of the platform that browsers are driven against; tests/browser/background.py works."""

from __future__ import annotations

from config.settings.test import *  # noqa: F403

SANDBOX_SETTLE_AFTER_S = 2
ALLOW_LOOPBACK_WEBHOOKS = True
