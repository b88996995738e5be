"""Posting all or nothing, failing in the database: it can travel with its COMMIT."""

from __future__ import annotations

from django.db import migrations

_TYPES = (
    "uuid[], uuid[], uuid[], bigint[], int[], int[], int[], uuid[], int[], uuid[], date[], uuid[]"
)
_UP = f"""
CREATE FUNCTION ledger_post_all({_TYPES}) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    answers bigint[] := ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
BEGIN
    -- Booked, or booked before with the same content (46, `exists`).
    IF EXISTS (SELECT FROM unnest(answers) AS a WHERE a < 0 AND a <> -46) THEN
        -- M0002 is ledger.services.LedgerRefused; the detail holds an answer for each transfer.
        RAISE EXCEPTION 'the ledger refused a transfer'
            USING ERRCODE = 'M0002', DETAIL = array_to_string(answers, ',');
    END IF;
END $$;
REVOKE ALL ON FUNCTION ledger_post_all({_TYPES}) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_post_all({_TYPES})
    TO app_merchant, app_reseller, app_staff, app_worker;
"""  # noqa: S608 - a constant list of types


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_protect_integrity")]

    operations = [
        migrations.RunSQL(_UP, f"DROP FUNCTION ledger_post_all({_TYPES})"),
    ]
