"""Until when a hold can be captured."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("acceptance", "0009_amounts_of_disputes")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="payment",
            name="capture_before",
            field=models.DateTimeField(
                null=True, help_text="When a hold that was not captured is given up."
            ),
        ),
    ]
