-- Whether an access token still counts: one statement for each request that brings one, which reads
-- the facts of the merchant with it. No row means that the login has ended.

-- A person's: active, the login (a family of refresh tokens) not revoked, the seat still there, and
-- the authenticator that the login was confirmed with not taken away.
CREATE FUNCTION tenants_person_token(
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

-- A machine client's: neither revoked nor expired.
CREATE FUNCTION tenants_machine_token(p_machine uuid)
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

CREATE POLICY app_definer ON tenants_refreshtoken TO app_definer USING (true);
GRANT SELECT (family, user_id, revoked_at) ON tenants_refreshtoken TO app_definer;
CREATE POLICY app_definer ON tenants_totpdevice TO app_definer USING (true);
GRANT SELECT (user_id, confirmed) ON tenants_totpdevice TO app_definer;

ALTER FUNCTION tenants_person_token(uuid, uuid, uuid, uuid, boolean) OWNER TO app_definer;
ALTER FUNCTION tenants_machine_token(uuid) OWNER TO app_definer;
REVOKE ALL ON FUNCTION tenants_person_token(uuid, uuid, uuid, uuid, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_machine_token(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_person_token(uuid, uuid, uuid, uuid, boolean) TO merchantry_app;
GRANT EXECUTE ON FUNCTION tenants_machine_token(uuid) TO merchantry_app;

-- Support that takes an authenticator away ends the logins that it confirmed.
CREATE POLICY app_staff ON tenants_refreshtoken TO app_staff USING (true);
GRANT SELECT (user_id, revoked_at), UPDATE (revoked_at) ON tenants_refreshtoken TO app_staff;
