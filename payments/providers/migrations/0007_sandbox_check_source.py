"""A look at a token that does not use it."""

from __future__ import annotations

from typing import Final

from django.db import migrations

from core.rls import RunSqlFile

# The bank's functions belong to app_definer, which alone may read its tables.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0006_sandbox_dispute")]

    operations = [
        _AS_DEFINER,
        RunSqlFile(
            __file__,
            "0007_sandbox_check_source.sql",
            reverse="drop function sandbox_check_source(uuid, text)",
        ),
        _AS_OWNER,
    ]
