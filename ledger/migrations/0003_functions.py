"""The functions that write the ledger."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_protect")]

    operations = [
        RunSqlFile(__file__, "0003_open.sql", reverse="DROP FUNCTION ledger_open;"),
        RunSqlFile(
            __file__,
            "0003_post.sql",
            reverse="""
            DROP FUNCTION ledger_post;
            DROP FUNCTION ledger_post_batch;
            DROP FUNCTION ledger_known;
            DROP FUNCTION ledger_compare;
            DROP FUNCTION ledger_first_positions;
            DROP FUNCTION ledger_positions;
            """,
        ),
        RunSqlFile(__file__, "0003_expire.sql", reverse="DROP FUNCTION ledger_expire;"),
    ]
