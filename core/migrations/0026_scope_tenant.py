"""Data keys are read for the tenant of the scope, and for the platform, alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql


class Migration(migrations.Migration):
    dependencies = [("core", "0025_intake_holders")]

    operations = [
        RunSqlFile(
            __file__,
            "0026_scope_tenant.sql",
            reverse=frozen_sql(__file__, "0026_scope_tenant_reverse.sql"),
        ),
    ]
