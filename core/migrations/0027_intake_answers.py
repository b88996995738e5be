"""Intake finds the keys of trusted services, and reads none of their stored answers."""

from __future__ import annotations

from django.db import migrations

_COLUMNS = """
GRANT SELECT (id, created_at, owner, key, fingerprint, merchant_id, reseller_id, resource_id, holder,
              locked_until, status)
    ON core_idempotencyrecord TO app_intake;
"""
_ALL = "GRANT SELECT ON core_idempotencyrecord TO app_intake;"
# A REVOKE of the table takes the columns' grants along.
_NONE = "REVOKE SELECT ON core_idempotencyrecord FROM app_intake;"


class Migration(migrations.Migration):
    dependencies = [("core", "0026_scope_tenant")]

    operations = [
        migrations.RunSQL(_NONE + _COLUMNS, _NONE + _ALL),
    ]
