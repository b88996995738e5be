-- A trusted service that signs its requests, found by its key id. The secret comes out sealed; the
-- key never reaches the database.
--
-- Arguments: p_key_id.
-- Returns: one row; none for an unknown or revoked caller. merchant_id and reseller_id are null for
--   one that is bound to no tenant.
-- Errors: none.
-- Callers: app_auth, merchantry_app. Runs as app_definer. Runs before a scope is known.
CREATE OR REPLACE FUNCTION tenants_service_caller_find(p_key_id text)
RETURNS TABLE (
    caller_id uuid, name text, secret_sealed text, scopes text[], livemode boolean,
    merchant_id uuid, reseller_id uuid
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.id, s.name::text, s.secret_sealed, s.scopes::text[], s.livemode,
           s.merchant_id, s.reseller_id
    FROM public.tenants_servicecaller s
    WHERE s.key_id = p_key_id AND s.revoked_at IS NULL
$$;
