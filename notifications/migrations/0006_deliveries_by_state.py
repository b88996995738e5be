"""What did not arrive is found without reading all that did."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0005_staff_resend"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "delivered"), _negated=True),
                fields=["merchant_id", "livemode", "state", "-id"],
                name="delivery_merchant_state",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "delivered"), _negated=True),
                fields=["endpoint_id", "state", "-id"],
                name="delivery_endpoint_state",
            ),
        ),
    ]
