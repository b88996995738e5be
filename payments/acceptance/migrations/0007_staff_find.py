"""What people paste stands first in the indexes: staff look for it among all merchants."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("acceptance", "0006_customer_email"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="payment",
            name="payment_reference",
        ),
        migrations.RemoveIndex(
            model_name="payment",
            name="payment_last4",
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("reference", ""), _negated=True),
                fields=["reference", "merchant_id"],
                name="customer_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("reference", ""), _negated=True),
                fields=["reference", "merchant_id"],
                name="payment_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["last4", "merchant_id", "-id"], name="payment_last4"),
        ),
    ]
