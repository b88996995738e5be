"""What disputes cost a payment stands on the payment: what was lost, and the fees for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

# Under forced row-level security even the owner of a table sees no row; for one statement it does.
_LOST = """
ALTER TABLE acceptance_payment NO FORCE ROW LEVEL SECURITY;
ALTER TABLE acceptance_paymentevent NO FORCE ROW LEVEL SECURITY;
UPDATE acceptance_payment p SET amount_lost_minor = lost.minor
  FROM (SELECT payment_id, sum(amount_minor) AS minor FROM acceptance_paymentevent
          WHERE type = 'payment.dispute_lost' GROUP BY payment_id) lost
  WHERE lost.payment_id = p.id;
ALTER TABLE acceptance_paymentevent FORCE ROW LEVEL SECURITY;
ALTER TABLE acceptance_payment FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("acceptance", "0008_sales_channel")]

    operations: ClassVar = [
        migrations.RemoveConstraint(model_name="payment", name="payment_amounts_in_range"),
        migrations.AddField(
            model_name="payment",
            name="amount_lost_minor",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="What payers' banks took back in disputes."
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="dispute_fee_minor",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="What the provider charged for disputes."
            ),
        ),
        migrations.RunSQL(_LOST, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(
                    ("amount_minor__gt", 0),
                    ("amount_captured_minor__gte", 0),
                    ("amount_captured_minor__lte", F("amount_minor")),
                    ("amount_refunded_minor__gte", 0),
                    ("amount_refunded_minor__lte", F("amount_captured_minor")),
                    ("amount_disputed_minor__gte", 0),
                    ("amount_lost_minor__gte", 0),
                ),
                name="payment_amounts_in_range",
            ),
        ),
    ]
