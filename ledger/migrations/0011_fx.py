"""The rate of a conversion, written down in the transaction that books it."""

from __future__ import annotations

from django.db import migrations, models

from core.rls import ProtectTable


class Migration(migrations.Migration):
    dependencies = [("ledger", "0010_notes_asked")]

    operations = [
        migrations.CreateModel(
            name="FxConversion",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("sold_minor", models.BigIntegerField()),
                ("bought_minor", models.BigIntegerField()),
                ("residual_minor", models.BigIntegerField()),
                ("sold_ledger", models.IntegerField()),
                ("bought_ledger", models.IntegerField()),
                (
                    "rate",
                    models.DecimalField(
                        decimal_places=15,
                        help_text="Major units bought for one major unit sold.",
                        max_digits=30,
                    ),
                ),
                ("merchant_id", models.UUIDField(null=True)),
                ("reseller_id", models.UUIDField(null=True)),
                ("booked_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("bought_minor__gt", 0),
                            ("rate__gt", 0),
                            ("residual_minor__gte", 0),
                            ("residual_minor__lte", 1),
                            ("sold_minor__gt", 0),
                        ),
                        name="ledger_fx_sound",
                    )
                ],
            },
        ),
        ProtectTable(
            "ledger_fxconversion",
            merchant="SELECT, INSERT",
            reseller="SELECT",
            staff="SELECT",
            worker="SELECT, INSERT",
        ),
        migrations.RunSQL(
            """
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_fxconversion
                FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse(
                    'a rate stands as it was booked; book a conversion that corrects it');
            """,
            "DROP TRIGGER append_only ON ledger_fxconversion;",
        ),
    ]
