from __future__ import annotations

from django.urls import path

from payments.intents.api import IntentsView, IntentView

api = [
    path("intents", IntentsView.as_view(), name="intents"),
    path("intents/<str:intent_id>", IntentView.as_view(), name="intent"),
]
