"""Settings of the test suite: the real thing, with quick passwords and mail kept in memory."""

from __future__ import annotations

import base64

from config.settings.base import *  # noqa: F403 - all settings, some changed below

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
FIELD_KEYS = ["1:" + base64.b64encode(b"0" * 32).decode()]
ALLOWED_HOSTS = ["*"]
# Nothing is collected for the tests: finders serve the sources, never an older copy of them.
STATIC_ROOT = None
# Looked up when asked for: each test client would go through all of them first, which took longer
# than the requests that it makes.
WHITENOISE_AUTOREFRESH = True
