"""Messages name the worker that is at them, and the lane that takes turns with others."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0016_open_by_tenant")]

    operations = [
        migrations.AddField(
            model_name="inboxmessage",
            name="holder",
            field=models.BigIntegerField(help_text="The process that works on it.", null=True),
        ),
        migrations.AddField(
            model_name="inboxmessage",
            name="lane_id",
            field=models.UUIDField(
                help_text="Who takes turns: the merchant, or the account.", null=True
            ),
        ),
    ]
