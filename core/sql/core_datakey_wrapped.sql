-- One version of a tenant's data key. What it gives away is wrapped and worth nothing without the
-- key provider.
--
-- Arguments: tenant; wanted: the key's purpose; wanted_version.
-- Returns: the wrapped key, or null where there is no such version.
-- Errors: insufficient_privilege for another tenant than the scope's (core_datakey_readable).
-- Callers: app_auth, app_intake, app_merchant, app_reseller, app_staff, app_worker, merchantry_app.
--   Runs as app_definer.
CREATE OR REPLACE FUNCTION core_datakey_wrapped(tenant uuid, wanted text, wanted_version integer)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM core_datakey_readable(tenant);
    RETURN (SELECT k.wrapped FROM core_datakey k
             WHERE k.tenant_id = tenant AND k.purpose = wanted AND k.version = wanted_version);
END $$;
