-- Refuse to a tenant's scope to open accounts that are not its own.
--
-- Arguments: p_merchant, p_reseller, p_scope, p_flags: those of ledger_open.
-- Returns: nothing.
-- Errors: insufficient_privilege for an account of another book, one that another tenant would see,
--   and for flags of its own.
-- Callers: none. Called by ledger_open, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_open_own(
    p_merchant uuid[], p_reseller uuid[], p_scope uuid[], p_flags int[]
) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_role CONSTANT text := current_setting('role', true);
    v_tenant CONSTANT uuid := nullif(current_setting('app.tenant', true), '')::uuid;
BEGIN
    -- A tenant opens accounts of its own book alone, with the flags of the chart.
    IF v_tenant IS NULL OR p_flags IS NOT NULL OR EXISTS (
        SELECT FROM unnest(p_scope, p_merchant, p_reseller) AS u (scope, merchant, reseller)
         WHERE (u.scope IS DISTINCT FROM v_tenant)
            OR (v_role = 'app_merchant' AND u.merchant <> v_tenant)
            OR (v_role = 'app_reseller' AND u.reseller <> v_tenant)
            -- Who sees it: the merchant's own reseller, and merchants of the reseller alone.
            OR EXISTS (SELECT FROM tenants_merchant m
                        WHERE m.id = CASE v_role WHEN 'app_merchant' THEN v_tenant
                                                 ELSE u.merchant END
                          AND m.reseller_id <> CASE v_role WHEN 'app_merchant' THEN u.reseller
                                                           ELSE v_tenant END)
    ) THEN
        RAISE EXCEPTION 'a tenant may open accounts of its own alone'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
