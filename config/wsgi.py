from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
_django = get_wsgi_application()

from core.chunked import ChunkedBodies  # noqa: E402 - renderers read settings when imported

application = ChunkedBodies(_django)
