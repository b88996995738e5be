-- The one tenant of the open scope; null in a scope of no tenant (staff, workers, logging in, intake)
-- and outside any. A tenant's scope without a tenant gets the platform's id, which owns no such row.
CREATE FUNCTION core_scope_tenant() RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE WHEN current_setting('role') IN ('app_merchant', 'app_reseller')
        THEN coalesce(nullif(current_setting('app.tenant', true), '')::uuid,
                      '00000000-0000-0000-0000-000000000000') END
$$;
REVOKE ALL ON FUNCTION core_scope_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION core_scope_tenant() TO app_definer;

-- What a tenant's scope opens is sealed for that tenant, or for the platform (provider accounts).
CREATE FUNCTION core_datakey_readable(tenant uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF tenant <> '00000000-0000-0000-0000-000000000000' AND tenant <> core_scope_tenant() THEN
        RAISE EXCEPTION 'a data key of tenant % is not read in the scope of another one', tenant
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
REVOKE ALL ON FUNCTION core_datakey_readable(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION core_datakey_readable(uuid) TO app_definer;

CREATE OR REPLACE FUNCTION core_datakey_newest(tenant uuid, wanted text,
                                               OUT version integer, OUT wrapped text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM core_datakey_readable(tenant);
    SELECT k.version, k.wrapped INTO version, wrapped FROM core_datakey k
     WHERE k.tenant_id = tenant AND k.purpose = wanted ORDER BY k.version DESC LIMIT 1;
END $$;

CREATE OR REPLACE FUNCTION core_datakey_wrapped(tenant uuid, wanted text, wanted_version integer)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM core_datakey_readable(tenant);
    RETURN (SELECT k.wrapped FROM core_datakey k
             WHERE k.tenant_id = tenant AND k.purpose = wanted AND k.version = wanted_version);
END $$;
