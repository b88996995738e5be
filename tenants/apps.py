"""The Django app of the tenants room."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Registers the models; AUTH_USER_MODEL is ``tenants.User``."""

    name = "tenants"
    label = "tenants"
    verbose_name = "Tenants and people"
