-- The one tenant of the open scope.
--
-- Arguments: none.
-- Returns: the tenant's id; null in a scope of no tenant (staff, workers, logins, intake) and
--   outside any. A tenant's scope without a tenant gets the platform's id, which owns no such row.
-- Errors: none.
-- Callers: app_definer. Called by functions that run as app_definer.
CREATE OR REPLACE FUNCTION core_scope_tenant() RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE WHEN current_setting('role') IN ('app_merchant', 'app_reseller')
        THEN coalesce(nullif(current_setting('app.tenant', true), '')::uuid,
                      '00000000-0000-0000-0000-000000000000') END
$$;
