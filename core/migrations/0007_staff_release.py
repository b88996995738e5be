"""Staff may release what was quarantined: the columns of the attempts, and no others."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0006_definer_paths")]

    operations = [
        migrations.RunSQL(
            """
            GRANT UPDATE (state, attempts, next_attempt_at) ON core_inboxmessage TO app_staff;
            GRANT UPDATE (quarantined_at, leased_until, attempts) ON core_outboxevent TO app_staff;
            """,
            """
            REVOKE UPDATE (state, attempts, next_attempt_at) ON core_inboxmessage FROM app_staff;
            REVOKE UPDATE (quarantined_at, leased_until, attempts)
                ON core_outboxevent FROM app_staff;
            """,
        ),
    ]
