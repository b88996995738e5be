"""Accounts, answers and postings of a tenant's scope are of that tenant alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0014_intake"),
        ("core", "0026_scope_tenant"),
        ("tenants", "0002_protect"),
    ]

    operations = [
        RunSqlFile(
            __file__,
            "0015_scopes.sql",
            reverse=frozen_sql(__file__, "0015_scopes_reverse.sql"),
        ),
    ]
