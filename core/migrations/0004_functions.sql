-- Whose chain a record belongs to: the merchant's, else the reseller's, else the platform's.
CREATE FUNCTION core_audit_chain(merchant uuid, reseller uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(merchant, reseller, '00000000-0000-0000-0000-000000000000'::uuid);

-- No two records of a chain share a place, so a chain cannot fork.
CREATE UNIQUE INDEX audit_chain_place
    ON core_auditrecord (core_audit_chain(merchant_id, reseller_id), sequence)
    WHERE sequence IS NOT NULL;

-- Append-only: a record is changed once, by the sealer, and in its four seal columns alone.
CREATE FUNCTION core_audit_guard() RETURNS trigger
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

-- A record comes unsealed: nobody inserts one with a place of its own choice.
CREATE FUNCTION core_audit_unsealed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.sequence IS NOT NULL OR NEW.sealed_at IS NOT NULL
       OR NEW.hash IS NOT NULL OR NEW.previous_hash IS NOT NULL THEN
        RAISE EXCEPTION 'audit records are sealed by the sealer alone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON core_auditrecord
    FOR EACH ROW EXECUTE FUNCTION core_audit_guard();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON core_auditrecord
    FOR EACH STATEMENT EXECUTE FUNCTION core_audit_guard();
CREATE TRIGGER audit_unsealed_at_first BEFORE INSERT ON core_auditrecord
    FOR EACH ROW EXECUTE FUNCTION core_audit_unsealed();

-- The worker's UPDATE serves the sealer: in the seal's columns, and no others.
REVOKE UPDATE ON core_auditrecord FROM app_worker;
GRANT UPDATE (sequence, previous_hash, hash, sealed_at) ON core_auditrecord TO app_worker;

-- Data keys are read and made in whatever scope a field is sealed in, and outside any. What the
-- functions give away is wrapped and worth nothing without the key provider.
CREATE FUNCTION core_datakey_newest(tenant uuid, wanted text,
                                    OUT version integer, OUT wrapped text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.version, k.wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted ORDER BY k.version DESC LIMIT 1
$$;

CREATE FUNCTION core_datakey_wrapped(tenant uuid, wanted text, wanted_version integer)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted AND k.version = wanted_version
$$;

-- A key once stored is never replaced here: what it sealed would be lost.
CREATE FUNCTION core_datakey_add(tenant uuid, wanted text, new_version integer, new_wrapped text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO core_datakey (id, created_at, tenant_id, purpose, version, wrapped)
    VALUES (gen_random_uuid(), clock_timestamp(), tenant, wanted, new_version, new_wrapped)
    ON CONFLICT ON CONSTRAINT datakey_version_once DO NOTHING
$$;

ALTER FUNCTION core_datakey_newest(uuid, text) OWNER TO app_definer;
ALTER FUNCTION core_datakey_wrapped(uuid, text, integer) OWNER TO app_definer;
ALTER FUNCTION core_datakey_add(uuid, text, integer, text) OWNER TO app_definer;
REVOKE ALL ON FUNCTION core_datakey_newest(uuid, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION core_datakey_wrapped(uuid, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION core_datakey_add(uuid, text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION core_datakey_newest(uuid, text),
    core_datakey_wrapped(uuid, text, integer), core_datakey_add(uuid, text, integer, text)
    TO merchantry_app, app_merchant, app_reseller, app_staff, app_worker, app_auth;
