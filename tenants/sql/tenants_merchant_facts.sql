-- What is known of one merchant, for a caller whose token names it.
--
-- Arguments: p_merchant_id.
-- Returns: one row with status, name, currency and fees (basis points, minor units); none for an
--   unknown merchant.
-- Errors: none.
-- Callers: app_auth, app_worker, merchantry_app. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_merchant_facts(p_merchant_id uuid)
RETURNS TABLE (
    merchant_id uuid, reseller_id uuid, merchant_status text, reseller_status text,
    merchant_name text, default_currency text,
    fee_bps integer, fee_fixed_minor bigint, reseller_share_bps integer
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT m.id, m.reseller_id, m.status::text, r.status::text, m.name::text,
           m.default_currency::text, m.fee_bps, m.fee_fixed_minor, m.reseller_share_bps
    FROM public.tenants_merchant m
    JOIN public.tenants_reseller r ON r.id = m.reseller_id
    WHERE m.id = p_merchant_id
$$;
