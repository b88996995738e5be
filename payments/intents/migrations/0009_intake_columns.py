"""Intake finds whose attempt an id names, and reads none."""

from __future__ import annotations

from django.db import migrations

_ALL = "GRANT SELECT ON intents_intent TO app_intake;"
# A REVOKE of the table takes the columns' grants along.
_NONE = "REVOKE SELECT ON intents_intent FROM app_intake;"


class Migration(migrations.Migration):
    dependencies = [("intents", "0008_intake")]

    operations = [
        migrations.RunSQL(
            _NONE + "GRANT SELECT (id, merchant_id) ON intents_intent TO app_intake;",
            _NONE + _ALL,
        ),
    ]
