from __future__ import annotations

from django.urls import path

from notifications.consumers import ActivityConsumer, PaymentConsumer

websocket_urlpatterns = [
    path("ws/payments/<str:document_id>", PaymentConsumer.as_asgi()),
    path("ws/activity", ActivityConsumer.as_asgi()),
]
