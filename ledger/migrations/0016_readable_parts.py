"""Posting, opening and expiring become functions of a readable size."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql


class Migration(migrations.Migration):
    dependencies = [("ledger", "0015_scopes")]

    operations = [
        RunSqlFile(
            __file__,
            "0016_readable_parts.sql",
            reverse=frozen_sql(__file__, "0016_readable_parts_reverse.sql"),
        ),
    ]
