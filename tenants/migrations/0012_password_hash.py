"""No role reads the column of password hashes; logging in looks one up by a function."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation

from core.rls import RunSqlFile

_REVERSE = """
DROP FUNCTION tenants_password_hash(uuid);
REVOKE SELECT (id, email, name, is_active, is_staff, is_superuser, last_login, created_at,
               login_stamp)
    ON tenants_user FROM merchantry_app, app_auth, app_staff;
GRANT SELECT ON tenants_user TO merchantry_app, app_auth, app_staff;
"""


class Migration(migrations.Migration):
    """Column grants, and the look-up of one account's hash."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("tenants", "0011_login_stamp")]

    operations: ClassVar[list[Operation]] = [
        RunSqlFile(__file__, "0012_password_hash.sql", reverse=_REVERSE),
    ]
