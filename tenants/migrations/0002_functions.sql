-- Look-ups that find the tenant, and therefore run before a scope is known. Each is one statement,
-- owned by a role that nobody logs in as, with a fixed search path.

-- All that a request with an API key needs. Comparing the digest is the caller's part (constant time,
-- any configured pepper). The time of last use is kept to ten minutes, for a write per request would
-- cost more than it tells.
CREATE FUNCTION tenants_api_key_find(p_lookup_id text)
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

CREATE FUNCTION tenants_machine_client_find(p_client_id text)
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

CREATE FUNCTION tenants_service_caller_find(p_key_id text)
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

-- What is known of one merchant, for a caller whose token names it.
CREATE FUNCTION tenants_merchant_facts(p_merchant_id uuid)
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

-- Where a person may sit: own memberships, and for an agent each granted merchant.
CREATE FUNCTION tenants_seats(p_user uuid, p_membership uuid, p_merchant uuid)
RETURNS TABLE (
    membership_id uuid, level text, role text, platform_id uuid, reseller_id uuid,
    merchant_id uuid, tenant_name text, tenant_status text, default_currency text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT seats.* FROM (
        SELECT ms.id AS membership_id, ms.level::text AS level, ms.role::text, ms.platform_id, ms.reseller_id,
               ms.merchant_id, coalesce(m.name, r.name, p.name)::text AS tenant_name,
               coalesce(m.status, r.status, 'active')::text, coalesce(m.default_currency, '')::text
        FROM public.tenants_membership ms
        LEFT JOIN public.tenants_merchant m ON m.id = ms.merchant_id
        LEFT JOIN public.tenants_reseller r ON r.id = ms.reseller_id
        LEFT JOIN public.tenants_platform p ON p.id = ms.platform_id
        WHERE ms.user_id = p_user AND NOT ms.only_granted
          AND (p_membership IS NULL OR ms.id = p_membership)
        UNION ALL
        SELECT ms.id, 'merchant', ms.role::text, NULL::uuid, m.reseller_id,
               m.id, m.name::text, m.status::text, m.default_currency::text
        FROM public.tenants_membership ms
        JOIN public.tenants_merchantgrant g ON g.user_id = ms.user_id
        JOIN public.auth_permission ap ON ap.id = g.permission_id
            AND ap.codename = 'act_for_merchant'
        JOIN public.tenants_merchant m ON m.id = g.content_object_id
            AND m.reseller_id = ms.reseller_id
        WHERE ms.user_id = p_user AND ms.only_granted
          AND (p_membership IS NULL OR ms.id = p_membership)
          AND (p_merchant IS NULL OR m.id = p_merchant)
    ) AS seats
    ORDER BY (level = 'platform') DESC, (level = 'reseller') DESC, tenant_name, membership_id
$$;

ALTER FUNCTION tenants_api_key_find(text) OWNER TO app_definer;
ALTER FUNCTION tenants_machine_client_find(text) OWNER TO app_definer;
ALTER FUNCTION tenants_service_caller_find(text) OWNER TO app_definer;
ALTER FUNCTION tenants_merchant_facts(uuid) OWNER TO app_definer;
ALTER FUNCTION tenants_seats(uuid, uuid, uuid) OWNER TO app_definer;

REVOKE ALL ON FUNCTION tenants_api_key_find(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_machine_client_find(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_service_caller_find(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_merchant_facts(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenants_seats(uuid, uuid, uuid) FROM PUBLIC;

-- The login role calls them before any scope is open; app_auth does so while logging somebody in.
GRANT EXECUTE ON FUNCTION tenants_api_key_find(text) TO merchantry_app, app_auth;
GRANT EXECUTE ON FUNCTION tenants_machine_client_find(text) TO merchantry_app, app_auth;
GRANT EXECUTE ON FUNCTION tenants_service_caller_find(text) TO merchantry_app, app_auth;
GRANT EXECUTE ON FUNCTION tenants_merchant_facts(uuid) TO merchantry_app, app_auth, app_worker;
GRANT EXECUTE ON FUNCTION tenants_seats(uuid, uuid, uuid) TO merchantry_app, app_auth;
