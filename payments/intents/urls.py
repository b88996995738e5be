from __future__ import annotations

from django.urls import path

from payments.intents.api import IntentsView, IntentView
from payments.intents.pages import PayerReturnView

api = [
    path("intents", IntentsView.as_view(), name="intents"),
    path("intents/<str:intent_id>", IntentView.as_view(), name="intent"),
]

pages = [
    path("payer-return/<str:ticket>", PayerReturnView.as_view(), name="payer-return"),
]
