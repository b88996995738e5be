"""Addresses of the developers' room: the API's root and its description."""

from __future__ import annotations

from django.urls import path

from developers import api as views

api = [
    path("", views.RootView.as_view(), name="api-root"),
    path("openapi.json", views.openapi_json, name="openapi"),
]

pages = [
    path("v1", views.RootView.as_view(), name="api-root-bare"),
]
