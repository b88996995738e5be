"""What holds connections open: `/ws/`, and nothing else. Pages and the API go over WSGI.

There is no Django application for plain HTTP in it: what is not a websocket is refused before its
body is read. `python -m config.streams` serves it with the limits that belong to the server.
"""

from __future__ import annotations

import os
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
# Django must be set up before the consumers, which import models, can be.
django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - after Django is set up
from channels.sessions import CookieMiddleware, SessionMiddleware  # noqa: E402 - after Django is set up
from django.conf import settings  # noqa: E402 - after Django is set up

from core.proxies import ClientAddresses  # noqa: E402 - after Django is set up
from notifications.routing import OwnPages, websocket_urlpatterns  # noqa: E402 - after Django is set up
from notifications.socket_limits import SocketLimits  # noqa: E402 - after Django is set up

_MISDIRECTED: Final = b"This address takes websockets under /ws/ alone.\n"


async def websockets_only(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer plain HTTP with 421 at once; its body is not read (RFC 9110, 15.5.20)."""
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(_MISDIRECTED)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": _MISDIRECTED})


# A foreign page is turned away before anything of the visitor's is looked at, but after it was
# counted. The consumers read session and user themselves, afresh each time.
_websockets = SocketLimits(
    OwnPages(
        CookieMiddleware(SessionMiddleware(URLRouter(websocket_urlpatterns))),
        [settings.BASE_URL, *settings.CSRF_TRUSTED_ORIGINS],
    )
)

application = ClientAddresses(
    ProtocolTypeRouter({"http": websockets_only, "websocket": _websockets})
)
