-- Which session an address opens: asked before any scope is known, and answered only to a caller
-- that brings the secret too.
--
-- Arguments: p_id: the session; p_digest: the digest of its secret.
-- Returns: one row with the session's tenants and mode; none for an unknown session or another
--   secret.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
CREATE OR REPLACE FUNCTION checkout_session_door(p_id uuid, p_digest bytea)
RETURNS TABLE (merchant_id uuid, reseller_id uuid, livemode boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.merchant_id, s.reseller_id, s.livemode
    FROM public.checkout_checkoutsession s
    WHERE s.id = p_id AND s.secret_digest = p_digest
$$;
