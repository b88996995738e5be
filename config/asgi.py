"""Websockets, served by daphne; pages and the API go over WSGI (config/wsgi.py)."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
# Django must be set up before the consumers, which import models, can be.
http_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from core.proxies import ClientAddresses  # noqa: E402
from notifications.routing import websocket_urlpatterns  # noqa: E402

application = ClientAddresses(
    ProtocolTypeRouter(
        {
            "http": http_application,
            "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
        }
    )
)
