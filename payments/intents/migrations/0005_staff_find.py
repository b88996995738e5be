"""Staff paste the provider's id without its account."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("intents", "0004_staff_resolves"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="intent",
            name="intent_external",
        ),
        migrations.AddIndex(
            model_name="intent",
            index=models.Index(
                condition=models.Q(("external_id", ""), _negated=True),
                fields=["external_id", "provider_account_id"],
                name="intent_external",
            ),
        ),
    ]
