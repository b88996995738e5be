"""Open events are found tenant by tenant, so that no backlog delays the others."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0015_holders")]

    operations = [
        migrations.RemoveIndex(model_name="outboxevent", name="outbox_open"),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(
                condition=models.Q(delivered_at__isnull=True, quarantined_at__isnull=True),
                fields=["merchant_id", "id"],
                name="outbox_open",
            ),
        ),
    ]
