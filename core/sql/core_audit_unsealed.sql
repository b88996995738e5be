-- Refuse an audit record that comes with a place in the chain of its own choice.
--
-- Arguments: none; the row of the trigger audit_unsealed_at_first (BEFORE INSERT) on
--   core_auditrecord.
-- Returns: the new row.
-- Errors: integrity_constraint_violation where a column of the seal is filled.
-- Callers: PUBLIC. A trigger function, which only a trigger runs.
CREATE OR REPLACE FUNCTION core_audit_unsealed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.sequence IS NOT NULL OR NEW.sealed_at IS NOT NULL
       OR NEW.hash IS NOT NULL OR NEW.previous_hash IS NOT NULL OR NEW.key_version <> '' THEN
        RAISE EXCEPTION 'audit records are sealed by the sealer alone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
