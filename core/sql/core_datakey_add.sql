-- Store the wrapped data key of a tenant. A key once stored is never replaced here: what it sealed
-- would be lost.
--
-- A data key is made in the scope of its own tenant. Without a scope and during a login that is the
-- platform's; staff and workers seal for all tenants. Later versions are the rotation's alone,
-- which is a worker: any other caller could only make a tenant's fields unreadable.
--
-- Arguments: tenant; wanted: the key's purpose; new_version: from 1; new_wrapped: the key as the
--   key provider wrapped it.
-- Returns: nothing; a version that is there already stays as it is.
-- Errors: insufficient_privilege for another tenant than the scope's, and for a version past 1
--   outside app_worker.
-- Callers: app_auth, app_merchant, app_reseller, app_staff, app_worker, merchantry_app. Runs as
--   app_definer.
CREATE OR REPLACE FUNCTION core_datakey_add(
    tenant uuid, wanted text, new_version integer, new_wrapped text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    scope text := current_setting('role');
    own uuid;
BEGIN
    IF scope IN ('app_merchant', 'app_reseller') THEN
        own := nullif(current_setting('app.tenant', true), '')::uuid;
    ELSIF scope NOT IN ('app_staff', 'app_worker') THEN
        own := '00000000-0000-0000-0000-000000000000';
    ELSE
        own := tenant;
    END IF;
    IF own IS DISTINCT FROM tenant THEN
        RAISE EXCEPTION 'a data key of tenant % is not made in the scope %', tenant, scope
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF new_version <> 1 AND scope <> 'app_worker' THEN
        RAISE EXCEPTION 'version % of a data key is made by the rotation alone', new_version
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.core_datakey (id, created_at, tenant_id, purpose, version, wrapped)
    VALUES (gen_random_uuid(), clock_timestamp(), tenant, wanted, new_version, new_wrapped)
    ON CONFLICT ON CONSTRAINT datakey_version_once DO NOTHING;
END $$;
