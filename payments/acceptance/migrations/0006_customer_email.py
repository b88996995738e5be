"""Staff look a customer up by e-mail address among all merchants."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("acceptance", "0005_lists_and_figures"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("email", ""), _negated=True),
                fields=["email"],
                name="customer_any_email",
            ),
        ),
    ]
