"""Drop the counters with fixed windows; nothing that they held is needed."""

from __future__ import annotations

from django.db import migrations

from core.rls import ProtectTable

_COUNTER = ProtectTable(
    "core_attemptcounter",
    merchant_column=None,
    reseller_column=None,
    staff="",
    auth="SELECT, INSERT, UPDATE",
    worker="SELECT, DELETE",
)


class Migration(migrations.Migration):
    dependencies = [("core", "0021_protect_throttle")]

    operations = [
        # On the way back the table is made first, then its policies.
        migrations.RunSQL(migrations.RunSQL.noop, _COUNTER.sql),
        migrations.DeleteModel(name="AttemptCounter"),
    ]
