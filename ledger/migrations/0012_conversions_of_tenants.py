"""The conversions of a merchant or a reseller are found by an index."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0011_fx"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="fxconversion",
            index=models.Index(fields=["merchant_id", "-id"], name="ledger_fx_merchant"),
        ),
        migrations.AddIndex(
            model_name="fxconversion",
            index=models.Index(fields=["reseller_id", "-id"], name="ledger_fx_reseller"),
        ),
    ]
