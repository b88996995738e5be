-- The seats that a person may take: own memberships, and for an agent each granted merchant.
--
-- Arguments: p_user; p_membership, p_merchant: only this membership, and of an agent's only this
--   merchant, or null for all.
-- Returns: a row for each seat: the platform's first, then resellers', by the tenant's name.
-- Errors: none.
-- Callers: app_auth, merchantry_app. Runs as app_definer.
CREATE OR REPLACE FUNCTION tenants_seats(p_user uuid, p_membership uuid, p_merchant uuid)
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
