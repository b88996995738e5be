-- A machine client that asks for a session, found by its public id. Comparing the digest is the
-- caller's part.
--
-- Arguments: p_client_id.
-- Returns: one row with the client and its merchant, revoked and expired ones included; none for an
--   unknown client.
-- Errors: none.
-- Callers: app_auth, merchantry_app. Runs as app_definer. Runs before a scope is known.
CREATE OR REPLACE FUNCTION tenants_machine_client_find(p_client_id text)
RETURNS TABLE (
    machine_id uuid, name text, digest bytea, pepper_version smallint, livemode boolean,
    scopes text[], expires_at timestamptz, revoked_at timestamptz,
    merchant_id uuid, reseller_id uuid, merchant_status text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT c.id, c.name::text, c.digest, c.pepper_version, c.livemode,
           c.scopes::text[], c.expires_at, c.revoked_at,
           m.id, m.reseller_id, m.status::text
    FROM public.tenants_machineclient c
    JOIN public.tenants_merchant m ON m.id = c.merchant_id
    WHERE c.client_id = p_client_id
$$;
