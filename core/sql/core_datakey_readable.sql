-- Refuse to read another tenant's data key: what a tenant's scope opens is sealed for that tenant,
-- or for the platform (provider accounts).
--
-- Arguments: tenant: whose key is asked for.
-- Returns: nothing.
-- Errors: insufficient_privilege where the open scope is of another tenant.
-- Callers: app_definer. Called by core_datakey_newest and core_datakey_wrapped.
CREATE OR REPLACE FUNCTION core_datakey_readable(tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF tenant <> '00000000-0000-0000-0000-000000000000' AND tenant <> core_scope_tenant() THEN
        RAISE EXCEPTION 'a data key of tenant % is not read in the scope of another one', tenant
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
