-- Whether a machine client's access token still counts: the client neither revoked nor expired.
-- Reads the facts of the merchant with it.
--
-- Arguments: p_machine: the client.
-- Returns: one row with the merchant's facts; none where the client has ended.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_machine_token(p_machine uuid)
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
    FROM public.tenants_machineclient c
    JOIN public.tenants_merchant m ON m.id = c.merchant_id
    JOIN public.tenants_reseller r ON r.id = m.reseller_id
    WHERE c.id = p_machine AND c.revoked_at IS NULL
      AND (c.expires_at IS NULL OR c.expires_at > now())
$$;
