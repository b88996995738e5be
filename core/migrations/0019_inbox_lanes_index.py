"""Due messages are found lane by lane."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0018_inbox_lanes_fill")]

    operations = [
        migrations.AlterField(
            model_name="inboxmessage",
            name="lane_id",
            field=models.UUIDField(help_text="Who takes turns: the merchant, or the account."),
        ),
        migrations.AddIndex(
            model_name="inboxmessage",
            index=models.Index(
                models.F("lane_id"),
                models.OrderBy(models.F("next_attempt_at"), nulls_first=True),
                models.F("id"),
                condition=models.Q(("state__in", ["received", "failed", "parked"])),
                name="inbox_lanes",
            ),
        ),
        migrations.AddIndex(
            model_name="inboxmessage",
            index=models.Index(
                condition=models.Q(("holder__isnull", False)),
                fields=["holder"],
                name="inbox_held",
            ),
        ),
    ]
