from __future__ import annotations

from core.health import urlpatterns as pages

__all__ = ["pages"]
