"""Leases name the process that holds them, and end with it."""

from __future__ import annotations

from django.db import migrations, models

_UP = """
-- The holder's lock is free: its process, or its connection, is gone. A shared lock, so that two who
-- ask at the same time do not take each other for the holder.
CREATE FUNCTION core_holder_died(holder bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT holder IS NOT NULL AND pg_catalog.pg_try_advisory_xact_lock_shared(holder)
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0014_audit_heads_signed")]

    operations = [
        migrations.RunSQL(_UP, "DROP FUNCTION core_holder_died(bigint)"),
        migrations.AddField(
            model_name="idempotencyrecord",
            name="holder",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="outboxevent",
            name="holder",
            field=models.BigIntegerField(null=True),
        ),
    ]
