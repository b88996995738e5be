"""What `manage.py check --deploy` says about a process's rights in the database."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from core.roles import LOGIN


@checks.register(deploy=True)
def own_database_role(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Warn where a process logs in as the role that opens every scope."""
    if settings.DATABASES["default"].get("USER") != LOGIN:
        return []
    return [
        checks.Warning(
            f"DATABASE_URL logs in as {LOGIN}, which opens every scope: SQL injected into this "
            "process could become the platform's staff.",
            hint="Run core.roles.ensure_roles and use the address of the process's own role "
            '(README, "In production").',
            id="core.W001",
        )
    ]
