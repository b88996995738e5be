"""The sandbox's cardholder disputes no more than was not refunded."""

from __future__ import annotations

from typing import Final

from django.db import migrations

from core.rls import RunSqlFile, frozen_sql

# The functions belong to app_definer, and only their owner may put others in their place.
_AS_DEFINER: Final = migrations.RunSQL("SET LOCAL ROLE app_definer", "RESET ROLE")
_AS_OWNER: Final = migrations.RunSQL("RESET ROLE", "SET LOCAL ROLE app_definer")


class Migration(migrations.Migration):
    dependencies = [("providers", "0005_sandbox_attach")]

    operations = [
        _AS_DEFINER,
        RunSqlFile(
            __file__,
            "0006_sandbox_dispute.sql",
            reverse=frozen_sql(__file__, "0006_sandbox_dispute_reverse.sql"),
        ),
        _AS_OWNER,
    ]
