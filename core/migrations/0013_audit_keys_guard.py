"""The audit log's guards know the key's version as a part of the seal."""

from __future__ import annotations

from django.db import migrations

from core.rls import RunSqlFile

_REVERSE = """
CREATE OR REPLACE FUNCTION core_audit_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'audit records are append-only: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.sealed_at IS NOT NULL
       OR NEW.sealed_at IS NULL OR NEW.sequence IS NULL
       OR NEW.hash IS NULL OR NEW.previous_hash IS NULL
       OR (to_jsonb(NEW) - '{sequence,previous_hash,hash,sealed_at}'::text[])
          <> (to_jsonb(OLD) - '{sequence,previous_hash,hash,sealed_at}'::text[]) THEN
        RAISE EXCEPTION 'audit records are append-only: only the seal may be filled, once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION core_audit_unsealed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.sequence IS NOT NULL OR NEW.sealed_at IS NOT NULL
       OR NEW.hash IS NOT NULL OR NEW.previous_hash IS NOT NULL THEN
        RAISE EXCEPTION 'audit records are sealed by the sealer alone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
REVOKE UPDATE (key_version) ON core_auditrecord FROM app_worker;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0012_audit_keys")]

    operations = [RunSqlFile(__file__, "0013_audit_keys_guard.sql", reverse=_REVERSE)]
