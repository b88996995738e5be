-- Which session an address opens: asked before any scope is known, so by a function that nobody can
-- log in as, and answered only to whoever brings the secret too.
CREATE FUNCTION checkout_session_door(p_id uuid, p_digest bytea)
RETURNS TABLE (merchant_id uuid, reseller_id uuid, livemode boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.merchant_id, s.reseller_id, s.livemode
    FROM public.checkout_checkoutsession s
    WHERE s.id = p_id AND s.secret_digest = p_digest
$$;

ALTER FUNCTION checkout_session_door(uuid, bytea) OWNER TO app_definer;
REVOKE ALL ON FUNCTION checkout_session_door(uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checkout_session_door(uuid, bytea) TO merchantry_app;
