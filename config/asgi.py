"""Websockets, served by daphne; pages and the API go over WSGI (config/wsgi.py)."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
# Django must be set up before the consumers, which import models, can be.
http_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.sessions import CookieMiddleware, SessionMiddleware  # noqa: E402
from django.conf import settings  # noqa: E402

from core.proxies import ClientAddresses  # noqa: E402
from notifications.routing import OwnPages, websocket_urlpatterns  # noqa: E402

# A foreign page is turned away before anything of the visitor's is looked at. The consumers read
# session and user themselves, afresh each time.
_websockets = OwnPages(
    CookieMiddleware(SessionMiddleware(URLRouter(websocket_urlpatterns))),
    [settings.BASE_URL, *settings.CSRF_TRUSTED_ORIGINS],
)

application = ClientAddresses(
    ProtocolTypeRouter(
        {
            "http": http_application,
            "websocket": _websockets,
        }
    )
)
