-- Keep audit records append-only: a record is changed once, by the sealer, and in its seal's
-- columns alone.
--
-- Arguments: none; the row of the triggers audit_guard (BEFORE UPDATE OR DELETE) and
--   audit_no_truncate (BEFORE TRUNCATE) on core_auditrecord.
-- Returns: the new row.
-- Errors: integrity_constraint_violation for DELETE, TRUNCATE, a second seal, and a change of any
--   other column.
-- Callers: PUBLIC. A trigger function, which only a trigger runs.
CREATE OR REPLACE FUNCTION core_audit_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'audit records are append-only: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.sealed_at IS NOT NULL
       OR NEW.sealed_at IS NULL OR NEW.sequence IS NULL
       OR NEW.hash IS NULL OR NEW.previous_hash IS NULL OR NEW.key_version = ''
       OR (to_jsonb(NEW) - '{sequence,previous_hash,hash,key_version,sealed_at}'::text[])
          <> (to_jsonb(OLD) - '{sequence,previous_hash,hash,key_version,sealed_at}'::text[]) THEN
        RAISE EXCEPTION 'audit records are append-only: only the seal may be filled, once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
