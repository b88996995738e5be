"""The mail about a disabled endpoint is due in its row, not in the memory of a sender."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0003_due_by_endpoint"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="tell_disabled_at",
            field=models.DateTimeField(
                help_text="When the owners are due a mail; empty once it was sent.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="webhookendpoint",
            index=models.Index(
                condition=models.Q(("tell_disabled_at__isnull", False)),
                fields=["tell_disabled_at"],
                name="endpoint_to_tell",
            ),
        ),
    ]
