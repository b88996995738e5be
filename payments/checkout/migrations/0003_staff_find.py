"""Staff look for a reference among the sessions of all merchants."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("acceptance", "0007_staff_find"),
        ("checkout", "0002_protect"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="checkoutsession",
            name="checkout_session_reference",
        ),
        migrations.AddIndex(
            model_name="checkoutsession",
            index=models.Index(
                condition=models.Q(("reference", ""), _negated=True),
                fields=["reference", "merchant_id"],
                name="checkout_session_reference",
            ),
        ),
    ]
