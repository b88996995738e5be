from __future__ import annotations

from django.urls import path

from notifications import api as views

api = [
    path("events", views.EventsView.as_view(), name="events"),
    path("events/<str:event_id>", views.EventView.as_view(), name="event"),
    path("events/<str:event_id>/resend", views.EventResendView.as_view(), name="event-resend"),
    path("webhook_endpoints", views.EndpointsView.as_view(), name="webhook-endpoints"),
    path(
        "webhook_endpoints/<str:endpoint_id>",
        views.EndpointView.as_view(),
        name="webhook-endpoint",
    ),
    path(
        "webhook_endpoints/<str:endpoint_id>/roll_secret",
        views.EndpointRollSecretView.as_view(),
        name="webhook-endpoint-roll-secret",
    ),
    path(
        "webhook_endpoints/<str:endpoint_id>/replay",
        views.EndpointReplayView.as_view(),
        name="webhook-endpoint-replay",
    ),
    path("webhook_deliveries", views.DeliveriesView.as_view(), name="webhook-deliveries"),
    path(
        "webhook_deliveries/<str:delivery_id>",
        views.DeliveryView.as_view(),
        name="webhook-delivery",
    ),
]
