"""A verification says where it began and how many older transfers it sampled."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0012_conversions_of_tenants")]

    operations = [
        migrations.AddField(
            model_name="integrityrun",
            name="since",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="Where the run began; transfers up to it were sampled.",
            ),
        ),
        migrations.AddField(
            model_name="integrityrun",
            name="sampled",
            field=models.IntegerField(
                db_default=0, default=0, help_text="Older transfers that were looked at."
            ),
        ),
    ]
