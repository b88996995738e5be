-- Whether a person's access token still counts: active, the login (a family of refresh tokens) not
-- revoked, the seat still there, and the authenticator that the login was confirmed with not taken
-- away. One statement for each request, which reads the facts of the merchant with it.
--
-- Arguments: p_user; p_family: the login; p_membership, p_merchant: the seat that the token names;
--   p_second_factor: whether the login was confirmed with an authenticator.
-- Returns: one row with the seat and its merchant's facts; none where the login has ended.
-- Errors: none.
-- Callers: merchantry_app. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_person_token(
    p_user uuid, p_family uuid, p_membership uuid, p_merchant uuid, p_second_factor boolean
)
RETURNS TABLE (
    level text, role text, seat_reseller_id uuid,
    merchant_id uuid, reseller_id uuid, merchant_status text, reseller_status text,
    merchant_name text, default_currency text,
    fee_bps integer, fee_fixed_minor bigint, reseller_share_bps integer
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT seat.level, seat.role, seat.reseller_id,
           m.id, m.reseller_id, m.status::text, r.status::text, m.name::text,
           m.default_currency::text, m.fee_bps, m.fee_fixed_minor, m.reseller_share_bps
    FROM public.tenants_user u
    CROSS JOIN LATERAL public.tenants_seats(u.id, p_membership, p_merchant) AS seat
    LEFT JOIN public.tenants_merchant m ON m.id = seat.merchant_id
    LEFT JOIN public.tenants_reseller r ON r.id = m.reseller_id
    WHERE u.id = p_user AND u.is_active
      AND seat.merchant_id IS NOT DISTINCT FROM p_merchant
      AND EXISTS (
          SELECT FROM public.tenants_refreshtoken t
          WHERE t.family = p_family AND t.user_id = u.id AND t.revoked_at IS NULL
      )
      AND (
          NOT p_second_factor
          OR EXISTS (
              SELECT FROM public.tenants_totpdevice d WHERE d.user_id = u.id AND d.confirmed
          )
      )
$$;
