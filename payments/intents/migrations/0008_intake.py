"""A trusted service that is bound to no merchant reads the attempts that it has submitted."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("intents", "0007_holder"), ("core", "0024_intake")]

    operations = [
        migrations.RunSQL(
            """
            CREATE POLICY app_intake ON intents_intent FOR SELECT TO app_intake USING (true);
            GRANT SELECT ON intents_intent TO app_intake;
            """,
            """
            REVOKE ALL ON intents_intent FROM app_intake;
            DROP POLICY app_intake ON intents_intent;
            """,
        ),
    ]
