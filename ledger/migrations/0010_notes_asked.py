"""When the sweeper last asked a cluster for what a note is about, and missed it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0009_full_runs")]

    operations = [
        migrations.AddField(
            model_name="clusternote",
            name="asked_at",
            field=models.DateTimeField(help_text="When the sweeper last missed it.", null=True),
        ),
    ]
