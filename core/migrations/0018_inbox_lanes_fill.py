"""What came before takes turns by its provider account."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0017_inbox_lanes")]

    operations = [
        migrations.RunSQL(
            # The owner is bound by row-level security too, so the table opens for this statement.
            """
            ALTER TABLE core_inboxmessage NO FORCE ROW LEVEL SECURITY;
            UPDATE core_inboxmessage SET lane_id = account_id WHERE lane_id IS NULL;
            ALTER TABLE core_inboxmessage FORCE ROW LEVEL SECURITY;
            """,
            migrations.RunSQL.noop,
        ),
    ]
