"""Indexes for the figures by day of capture, and for the states that few payments are in."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("acceptance", "0004_payment_method_once"),
    ]

    operations = [
        migrations.AlterField(
            model_name="payment",
            name="completed_at",
            field=models.DateTimeField(
                help_text="When it was captured, which completes it.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("completed_at__isnull", False)),
                fields=["merchant_id", "livemode", "completed_at"],
                include=("currency", "amount_captured_minor"),
                name="payment_merchant_captured",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("completed_at__isnull", False)),
                fields=["reseller_id", "livemode", "completed_at"],
                include=("merchant_id", "currency", "amount_captured_minor"),
                name="payment_reseller_captured",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_capturable_minor__gt", 0)),
                fields=["merchant_id", "livemode", "-id"],
                name="payment_merchant_capturable",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_refunded_minor__gt", 0)),
                fields=["merchant_id", "livemode", "-id"],
                name="payment_merchant_refunded",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_disputed_minor__gt", 0)),
                fields=["merchant_id", "livemode", "-id"],
                name="payment_merchant_disputed",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_capturable_minor__gt", 0)),
                fields=["reseller_id", "livemode", "-id"],
                name="payment_reseller_capturable",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_refunded_minor__gt", 0)),
                fields=["reseller_id", "livemode", "-id"],
                name="payment_reseller_refunded",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("amount_disputed_minor__gt", 0)),
                fields=["reseller_id", "livemode", "-id"],
                name="payment_reseller_disputed",
            ),
        ),
    ]
