"""A tenant's scope reads no provider account, and routes for its own tenant alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql


class Migration(migrations.Migration):
    dependencies = [("providers", "0008_sandbox_find"), ("core", "0026_scope_tenant")]

    operations = [
        RunSqlFile(
            __file__,
            "0009_scopes.sql",
            reverse=frozen_sql(__file__, "0009_scopes_reverse.sql"),
        ),
    ]
