"""Deliveries name their sender, and a slow endpoint is sent to in a lane of its own."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0006_deliveries_by_state"),
        ("core", "0015_holders"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="answers_slowly",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Its last answer took a second or more."
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="holder",
            field=models.BigIntegerField(help_text="The process that sends it now.", null=True),
        ),
        migrations.RemoveIndex(model_name="webhookdelivery", name="delivery_due"),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["merchant_id", "endpoint_id", "next_attempt_at"],
                name="delivery_due",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("holder__isnull", False)),
                fields=["holder"],
                name="delivery_held",
            ),
        ),
    ]
