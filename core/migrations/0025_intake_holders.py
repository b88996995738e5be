"""Probes look whether the relay that leased an event still lives."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0024_intake")]

    operations = [
        migrations.RunSQL(
            "GRANT SELECT (holder) ON core_outboxevent TO app_intake;",
            "REVOKE SELECT (holder) ON core_outboxevent FROM app_intake;",
        ),
    ]
