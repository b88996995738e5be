"""What `manage.py check` says about the audit log's anchor and, with --deploy, database rights."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from core.audit_anchor import audit_anchor
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


@checks.register
def audit_anchor_named(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Refuse settings that name no anchor; whether it can be reached shows at the first write."""
    try:
        audit_anchor()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="core.E001")]
    return []
