-- The newest data key of a tenant. What it gives away is wrapped and worth nothing without the key
-- provider.
--
-- Arguments: tenant; wanted: the key's purpose.
-- Returns: version and wrapped key; both null where there is none.
-- Errors: insufficient_privilege for another tenant than the scope's (core_datakey_readable).
-- Callers: app_auth, app_intake, app_merchant, app_reseller, app_staff, app_worker, merchantry_app.
--   Runs as app_definer.
CREATE OR REPLACE FUNCTION core_datakey_newest(tenant uuid, wanted text,
                                               OUT version integer, OUT wrapped text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM core_datakey_readable(tenant);
    SELECT k.version, k.wrapped INTO version, wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted ORDER BY k.version DESC LIMIT 1;
END $$;
