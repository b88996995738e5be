"""Row-level security of intents."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable


class Migration(migrations.Migration):
    dependencies = [("intents", "0001_initial"), ("core", "0002_protect")]

    operations = [
        ProtectTable("intents_intent"),
        # A follow-up names an intent of the same merchant: foreign-key checks bypass policies.
        migrations.RunSQL(
            "ALTER TABLE intents_intent ADD CONSTRAINT intent_refers_within_merchant"
            " FOREIGN KEY (merchant_id, refers_to_id) REFERENCES intents_intent (merchant_id, id)",
            "ALTER TABLE intents_intent DROP CONSTRAINT intent_refers_within_merchant",
        ),
    ]
