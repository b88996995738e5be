"""What the sandbox looks up stays quick in a table that has grown since it was last analysed.

An index that begins with the account looks as good as the right one to a planner that believes the
table to be small, and then reads every charge of the account.
"""

from __future__ import annotations

from typing import Final

from django.db import migrations, models

from core.rls import RunSqlFile, frozen_sql

# The functions belong to app_definer, and only its owner may put others in their place.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0007_sandbox_check_source")]

    operations = [
        migrations.RemoveIndex("sandboxcharge", "sandboxcharge_reference"),
        migrations.AddIndex(
            "sandboxcharge",
            models.Index(fields=["reference", "account_id"], name="sandboxcharge_reference"),
        ),
        migrations.RemoveIndex("sandboxrefund", "sandboxrefund_reference"),
        migrations.AddIndex(
            "sandboxrefund",
            models.Index(fields=["reference", "account_id"], name="sandboxrefund_reference"),
        ),
        _AS_DEFINER,
        RunSqlFile(
            __file__,
            "0008_sandbox_find.sql",
            reverse=frozen_sql(__file__, "0008_sandbox_find_reverse.sql"),
        ),
        _AS_OWNER,
    ]
