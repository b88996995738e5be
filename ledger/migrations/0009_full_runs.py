"""A run over all transfers may take several turns: when it began."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_corrected_once")]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="full_since",
            field=models.DateTimeField(
                help_text="When a run over all transfers began that is not at its end yet.",
                null=True,
            ),
        ),
    ]
