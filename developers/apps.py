from __future__ import annotations

from django.apps import AppConfig


class DevelopersConfig(AppConfig):
    name = "developers"
    default_auto_field = "django.db.models.BigAutoField"
