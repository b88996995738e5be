"""Row-level security, grants and functions of the throttle."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable, RunSqlFile

_DROP_FUNCTIONS = """
DROP FUNCTION core_throttle_take_mail(text, text, integer, integer, integer, integer, integer);
DROP FUNCTION core_throttle_take(text, text, integer, integer, integer, integer, integer);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0020_throttle")]

    operations = [
        ProtectTable(
            "core_attemptthrottle",
            merchant_column=None,
            reseller_column=None,
            staff="",
            auth="SELECT, UPDATE, DELETE",
            worker="SELECT, DELETE",
            definer="SELECT, INSERT, UPDATE",
        ),
        RunSqlFile(__file__, "0021_throttle.sql", reverse=_DROP_FUNCTIONS),
    ]
