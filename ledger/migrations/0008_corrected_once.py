"""A transfer is corrected by one proposal at most, unless that one was turned down."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_post_all")]

    operations = [
        migrations.AddConstraint(
            model_name="correctionproposal",
            constraint=models.UniqueConstraint(
                name="ledger_corrected_once",
                fields=["corrects_id"],
                condition=models.Q(
                    ("corrects_id__isnull", False),
                    models.Q(("state", "rejected"), _negated=True),
                ),
            ),
        ),
        # The constraint's index finds what corrects a transfer.
        migrations.RemoveIndex(model_name="correctionproposal", name="ledger_correction_of"),
    ]
