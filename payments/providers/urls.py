"""Addresses of the providers: their webhooks, and the sandbox's challenge page."""

from __future__ import annotations

from django.urls import path

from payments.providers.adapters.sandbox.views import ChallengeView
from payments.providers.api import ProviderWebhookView

api = [
    path(
        "provider_webhooks/<slug:provider>/<slug:account_id>",
        ProviderWebhookView.as_view(),
        name="provider-webhook",
    ),
]

pages = [
    path("sandbox/3ds/<uuid:challenge_id>", ChallengeView.as_view(), name="sandbox-challenge"),
]
