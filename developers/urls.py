"""Addresses of the developers' room: the API's root, its description, the pages about it."""

from __future__ import annotations

from django.urls import path

from developers import api as views
from developers import pages as docs

api = [
    path("", views.RootView.as_view(), name="api-root"),
    path("openapi.json", views.openapi_json, name="openapi"),
]

pages = [
    path("v1", views.RootView.as_view(), name="api-root-bare"),
    path("docs", docs.guide_page, name="docs"),
    path("docs/api", docs.reference_page, name="docs-api"),
    path("docs/events", docs.events_page, name="docs-events"),
]
