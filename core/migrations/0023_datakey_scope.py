"""Data keys are made for the tenant of the scope alone."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile

_BEFORE = """
CREATE OR REPLACE FUNCTION core_datakey_add(
    tenant uuid, wanted text, new_version integer, new_wrapped text
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO core_datakey (id, created_at, tenant_id, purpose, version, wrapped)
    VALUES (gen_random_uuid(), clock_timestamp(), tenant, wanted, new_version, new_wrapped)
    ON CONFLICT ON CONSTRAINT datakey_version_once DO NOTHING
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0022_drop_attemptcounter")]

    operations = [
        RunSqlFile(__file__, "0023_datakey_scope.sql", reverse=_BEFORE),
    ]
