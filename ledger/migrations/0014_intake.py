"""Metrics tell whether the newest verification found the books sound."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ledger", "0013_run_coverage"), ("core", "0024_intake")]

    operations = [
        migrations.RunSQL(
            """
            CREATE POLICY app_intake ON ledger_integrityrun FOR SELECT TO app_intake USING (true);
            GRANT SELECT ON ledger_integrityrun TO app_intake;
            """,
            """
            REVOKE ALL ON ledger_integrityrun FROM app_intake;
            DROP POLICY app_intake ON ledger_integrityrun;
            """,
        ),
    ]
