"""Take back what no process needs before a tenant is known, and no scope within one."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import NarrowTable

ALL = "SELECT, INSERT, UPDATE, DELETE"


class Migration(migrations.Migration):
    """Grants of the frameworks' tables and of the login role on people."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0003_framework_grants")]

    operations: ClassVar[list[Operation]] = [
        # Whoever reads a session's key is its person; the middlewares do, outside any scope.
        NarrowTable("django_session", opened_for=ALL, login=ALL),
        NarrowTable("django_admin_log", opened_for="SELECT, INSERT", staff="SELECT, INSERT"),
        # A grant to a reseller's agent looks its permission up.
        NarrowTable(
            "django_content_type",
            opened_for="SELECT",
            login="SELECT",
            staff="SELECT",
            reseller="SELECT",
        ),
        NarrowTable(
            "auth_permission",
            opened_for="SELECT",
            login="SELECT",
            staff="SELECT",
            reseller="SELECT",
        ),
        # Groups and single permissions are not used: roles and grants are.
        NarrowTable("auth_group", opened_for="SELECT", login="SELECT", staff="SELECT"),
        NarrowTable("auth_group_permissions", opened_for="SELECT", login="SELECT", staff="SELECT"),
        NarrowTable(
            "guardian_userobjectpermission", opened_for="SELECT", login="SELECT", staff="SELECT"
        ),
        NarrowTable(
            "guardian_groupobjectpermission", opened_for="SELECT", login="SELECT", staff="SELECT"
        ),
        NarrowTable("tenants_user_groups", opened_for=ALL, login="SELECT", staff="SELECT"),
        NarrowTable(
            "tenants_user_user_permissions", opened_for=ALL, login="SELECT", staff="SELECT"
        ),
        # Django's login notes the moment itself; all else about people is written in a scope.
        migrations.RunSQL(
            """
            REVOKE UPDATE ON tenants_user FROM merchantry_app;
            GRANT UPDATE (last_login) ON tenants_user TO merchantry_app;
            """,
            """
            REVOKE UPDATE (last_login) ON tenants_user FROM merchantry_app;
            GRANT UPDATE ON tenants_user TO merchantry_app;
            """,
        ),
    ]
