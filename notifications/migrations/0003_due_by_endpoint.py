"""The due deliveries are found endpoint by endpoint, so that no backlog delays the others."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_protect")]

    operations = [
        migrations.RemoveIndex(model_name="webhookdelivery", name="delivery_due"),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["endpoint_id", "next_attempt_at"],
                name="delivery_due",
            ),
        ),
    ]
