"""A guard that fails in the database, so that a unit of work can travel with its COMMIT."""

from __future__ import annotations

from django.db import migrations

_UP = """
CREATE FUNCTION core_must_touch(touched bigint, what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF touched = 0 THEN
        -- M0001 is core.unit.StaleState: the row is no longer as it was read.
        RAISE EXCEPTION USING ERRCODE = 'M0001', MESSAGE = what;
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0004_functions")]

    operations = [
        migrations.RunSQL(_UP, "DROP FUNCTION core_must_touch(bigint, text)"),
    ]
