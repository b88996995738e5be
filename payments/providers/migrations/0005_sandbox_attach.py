"""A saved card of the sandbox is found again by its own merchant alone."""

from __future__ import annotations

from typing import Final

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql

# The function belongs to app_definer, and only its owner may put another one in its place.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0004_account_key_tenant")]

    operations = [
        _AS_DEFINER,
        RunSqlFile(
            __file__,
            "0005_sandbox_attach.sql",
            reverse=frozen_sql(__file__, "0005_sandbox_attach_reverse.sql"),
        ),
        _AS_OWNER,
    ]
