"""The fixed part of a fee is chosen by currency when a merchant signs up; the model has none."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tenants", "0017_names_of_changes_to_people")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="merchant",
            name="fee_fixed_minor",
            field=models.BigIntegerField(default=0),
        ),
    ]
