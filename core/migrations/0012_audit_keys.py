"""Seals of the audit log say which key made them, and heads are signed."""

from __future__ import annotations

from django.db import migrations, models

_HELP = "Of the key provider's key; empty for records sealed before there was one."


class Migration(migrations.Migration):
    dependencies = [("core", "0011_staff_find")]

    operations = [
        migrations.AddField(
            model_name="auditrecord",
            name="key_version",
            field=models.CharField(
                blank=True, db_default="", default="", help_text=_HELP, max_length=16
            ),
        ),
        migrations.AddField(
            model_name="auditchain",
            name="keyed_from",
            field=models.BigIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name="auditchain",
            name="key_version",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.AddField(
            model_name="auditchain",
            name="signature",
            field=models.BinaryField(null=True),
        ),
    ]
