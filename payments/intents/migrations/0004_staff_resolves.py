"""Staff may take an attempt out of the exceptions inbox, and change nothing else of it."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("intents", "0003_steps_and_exceptions")]

    operations = [
        migrations.RunSQL(
            "GRANT UPDATE (exception_at, exceptions, version) ON intents_intent TO app_staff",
            "REVOKE UPDATE (exception_at, exceptions, version) ON intents_intent FROM app_staff",
        ),
    ]
