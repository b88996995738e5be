"""Data keys are read for the tenant of the scope, and for the platform, alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, functions_of

_DROP = """
DROP FUNCTION core_datakey_readable(uuid);
DROP FUNCTION core_scope_tenant();
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0025_intake_holders")]

    operations = [
        RunSqlFile(
            __file__,
            "0026_scope_tenant.sql",
            reverse=functions_of(
                __file__,
                "0004_functions.sql",
                "core_datakey_newest",
                "core_datakey_wrapped",
            ).replace(
                "search_path = pg_catalog, public", "search_path = pg_catalog, public, pg_temp"
            )
            + _DROP,
        ),
    ]
