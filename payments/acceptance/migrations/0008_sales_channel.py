"""`Payment.channel` is `sales_channel` in code; its column keeps the name, so nothing is written."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("acceptance", "0007_staff_find")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="payment",
            name="channel",
            field=models.CharField(
                db_column="channel", default="api", help_text="Where it was sold.", max_length=16
            ),
        ),
        migrations.RenameField(model_name="payment", old_name="channel", new_name="sales_channel"),
    ]
