"""The websockets' addresses, and the pages that may open them."""

from __future__ import annotations

from typing import Any

from channels.security.websocket import OriginValidator
from django.urls import path, re_path

from notifications.consumers import ActivityConsumer, NothingHere, PaymentConsumer

websocket_urlpatterns = [
    path("ws/payments/<str:document_id>", PaymentConsumer.as_asgi()),
    path("ws/activity", ActivityConsumer.as_asgi()),
    # Without a last route the router raises, and every mistyped address logs a traceback.
    re_path(r"", NothingHere.as_asgi()),
]


class OwnPages(OriginValidator):
    """Refuses the handshake of another site's page (a browser always sends the origin)."""

    def valid_origin(self, parsed_origin: Any) -> bool:
        """Whether the origin is one of those given; one with a malformed port is not."""
        try:
            return bool(super().valid_origin(parsed_origin))
        except ValueError:
            return False
