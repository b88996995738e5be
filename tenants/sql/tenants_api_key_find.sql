-- All that a request with an API key needs, found by the key's public part. Comparing the digest is
-- the caller's part (constant time, any configured pepper). The time of last use is kept to ten
-- minutes, for a write per request would cost more than it tells.
--
-- Arguments: p_lookup_id: the part of the key that is not secret.
-- Returns: one row with the key, its merchant and the merchant's fees (basis points, minor units),
--   revoked and expired keys included; none for an unknown key.
-- Errors: none.
-- Callers: app_auth, merchantry_app. Runs as app_definer. Runs before a scope is known.
CREATE OR REPLACE FUNCTION tenants_api_key_find(p_lookup_id text)
RETURNS TABLE (
    key_id uuid, kind text, key_name text, digest bytea, pepper_version smallint,
    livemode boolean, scopes text[], ip_allowlist text[],
    expires_at timestamptz, revoked_at timestamptz,
    merchant_id uuid, reseller_id uuid, merchant_status text, reseller_status text,
    merchant_name text, default_currency text,
    fee_bps integer, fee_fixed_minor bigint, reseller_share_bps integer
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    last_use timestamptz;
BEGIN
    SELECT k.last_used_at INTO last_use FROM public.tenants_apikey k WHERE k.lookup_id = p_lookup_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF last_use IS NULL OR last_use < now() - interval '10 minutes' THEN
        UPDATE public.tenants_apikey k SET last_used_at = now() WHERE k.lookup_id = p_lookup_id;
    END IF;
    RETURN QUERY
    SELECT k.id, k.kind::text, k.name::text, k.digest, k.pepper_version,
           k.livemode, k.scopes::text[], k.ip_allowlist::text[],
           k.expires_at, k.revoked_at,
           m.id, m.reseller_id, m.status::text, r.status::text,
           m.name::text, m.default_currency::text,
           m.fee_bps, m.fee_fixed_minor, m.reseller_share_bps
    FROM public.tenants_apikey k
    JOIN public.tenants_merchant m ON m.id = k.merchant_id
    JOIN public.tenants_reseller r ON r.id = m.reseller_id
    WHERE k.lookup_id = p_lookup_id;
END $$;
