"""Every address of the platform. An app's `urls.py` holds `api` (below /v1/) and `pages`."""

from __future__ import annotations

import importlib
from typing import Any

from django.contrib import admin
from django.urls import include, path

#: Patterns are tried one after the other, so what is asked most comes first. Otherwise order would
#: matter where a page's address is open-ended; none is today.
_APPS = (
    "payments.acceptance",
    "core",
    "tenants",
    "ledger",
    "notifications",
    "payments.providers",
    "payments.intents",
    "payments.checkout",
    "developers",
    "portal",
)


def _patterns(name: str) -> list[Any]:
    found: list[Any] = []
    for app in _APPS:
        found += getattr(importlib.import_module(f"{app}.urls"), name, [])
    return found


urlpatterns = [
    path("v1/", include(_patterns("api"))),
    path("admin/", admin.site.urls),
    *_patterns("pages"),
]

handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"
