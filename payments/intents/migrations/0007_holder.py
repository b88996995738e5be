"""An attempt whose process died is taken up at once, and the merchants take turns."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("intents", "0006_unsent"), ("core", "0015_holders")]

    operations = [
        migrations.AddField(
            model_name="intent",
            name="holder",
            field=models.BigIntegerField(
                help_text="The process that waits for the channel's answer.", null=True
            ),
        ),
        migrations.RemoveIndex(model_name="intent", name="intent_to_check"),
        migrations.AddIndex(
            model_name="intent",
            index=models.Index(
                condition=models.Q(("next_check_at__isnull", False)),
                fields=["merchant_id", "next_check_at"],
                name="intent_to_check",
            ),
        ),
    ]
