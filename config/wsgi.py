from __future__ import annotations

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
_django = get_wsgi_application()

from core.chunked import ChunkedBodies  # noqa: E402 - renderers read settings when imported

# A thread that comes back from the database waits this long for the interpreter (5 ms by default),
# perhaps with rows locked: short turns keep locks short.
sys.setswitchinterval(0.0005)

application = ChunkedBodies(_django)
