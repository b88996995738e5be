"""Metrics count the deliveries that are due, without reading what is delivered."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0007_lanes"), ("core", "0024_intake")]

    operations = [
        migrations.RunSQL(
            """
            CREATE POLICY app_intake ON notifications_webhookdelivery FOR SELECT TO app_intake
                USING (true);
            GRANT SELECT (id, state, next_attempt_at) ON notifications_webhookdelivery
                TO app_intake;
            """,
            """
            REVOKE SELECT (id, state, next_attempt_at) ON notifications_webhookdelivery
                FROM app_intake;
            DROP POLICY app_intake ON notifications_webhookdelivery;
            """,
        ),
    ]
