"""The answers kept for repetitions are found by what they speak of, to be emptied with it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0009_outbox_object_fill")]

    operations = [
        # Ids grow with time, so that on the hot path a new entry is added at the index's end.
        migrations.AddIndex(
            model_name="idempotencyrecord",
            index=models.Index(fields=["resource_id"], name="idempotency_resource"),
        ),
    ]
