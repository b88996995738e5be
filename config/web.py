"""Pages and the API: the ASGI application that uvicorn serves (`config/server.py`)."""

from __future__ import annotations

import gc
import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
_django = get_wsgi_application()

from django.conf import settings  # noqa: E402 - after Django is set up

from core.serving.web import WebGate  # noqa: E402 - reads settings when imported

# A thread that comes back from the database waits this long for the interpreter (5 ms by default),
# perhaps with rows locked: short turns keep locks short.
sys.setswitchinterval(0.0005)

# What has been imported stays: the collector need not look through it again and again. A payment
# makes some thousand objects that reference counts free by themselves.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 10, 10)

application = WebGate(_django, slots=settings.WEB_SLOTS)
