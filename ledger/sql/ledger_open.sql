-- Open accounts, once each. A tenant opens accounts of its own book alone, with the flags of the
-- chart, and an account names as its viewers only tenants of the scope's tree.
--
-- Arguments: one array element for each account: p_id (uuid5 of the name), p_name, p_code (line of
--   the chart), p_ledger, p_currency, p_livemode, p_merchant and p_reseller (who sees it), p_scope
--   (whose book it is in), p_flags (null: the chart's), p_user_data.
-- Returns: for each account 0 (opened), 21 (there already, with the same content) or the code of
--   what is wrong with it, in TigerBeetle's numbers (CreateAccountStatus) and, from 200, ours.
-- Errors: insufficient_privilege for an account that is not the tenant's own; unique_violation
--   where the name belongs to another id.
-- Callers: app_merchant, app_reseller, app_staff, app_worker. Runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_open(
    p_id uuid[], p_name text[], p_code int[], p_ledger int[], p_currency text[], p_livemode boolean[],
    p_merchant uuid[], p_reseller uuid[], p_scope uuid[], p_flags int[] DEFAULT NULL,
    p_user_data uuid[] DEFAULT NULL
) RETURNS int[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_role CONSTANT text := current_setting('role', true);
    v_tenant uuid;
    v_known int;
    v_result int[];
BEGIN
    SELECT count(*) INTO v_known FROM ledger_account
     WHERE id = ANY (p_id);
    IF v_role IN ('app_merchant', 'app_reseller') THEN
        v_tenant := nullif(current_setting('app.tenant', true), '')::uuid;
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
    END IF;
    IF v_known < cardinality(p_id) THEN
        INSERT INTO ledger_account (
            id, name, code, ledger, currency, livemode, merchant_id, reseller_id, scope_id, flags,
            user_data, opened_at, debits_pending, debits_posted, credits_pending, credits_posted)
        SELECT u.id, u.name, u.code, u.ledger, u.currency, u.livemode, u.merchant, u.reseller,
               u.scope, coalesce(u.flags, ch.flags), u.user_data, clock_timestamp(), 0, 0, 0, 0
          FROM (SELECT DISTINCT ON (u.id) u.*
                  FROM unnest(p_id, p_name, p_code, p_ledger, p_currency, p_livemode, p_merchant,
                              p_reseller, p_scope, p_flags, p_user_data)
                       AS u (id, name, code, ledger, currency, livemode, merchant, reseller, scope,
                             flags, user_data)
                 ORDER BY u.id) u
          JOIN ledger_accountcode ch ON ch.code = u.code
         WHERE u.ledger > 0 AND (coalesce(u.flags, 0) & 6) <> 6
           AND (coalesce(u.flags, 0) & ~302) = 0
           AND u.id NOT IN ('00000000-0000-0000-0000-000000000000',
                            'ffffffff-ffff-ffff-ffff-ffffffffffff')
         ORDER BY u.id
            -- The id or the name: of two who open the same account at once, either index may be the
            -- one in which they meet.
            ON CONFLICT DO NOTHING;
        IF EXISTS (SELECT FROM unnest(p_id, p_name, p_code, p_ledger, p_flags)
                                 AS u (id, name, code, ledger, flags)
                     JOIN ledger_account a ON a.name = u.name AND a.id <> u.id
                     JOIN ledger_accountcode ch ON ch.code = u.code
                    WHERE u.ledger > 0 AND (coalesce(u.flags, 0) & 6) <> 6
                      AND (coalesce(u.flags, 0) & ~302) = 0
                      AND u.id NOT IN ('00000000-0000-0000-0000-000000000000',
                                       'ffffffff-ffff-ffff-ffff-ffffffffffff')
                      AND NOT EXISTS (SELECT FROM ledger_account b WHERE b.id = u.id)) THEN
            RAISE EXCEPTION 'an account of that name has another id' USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    SELECT array_agg(CASE
            -- 302: those of ledger.flags.AccountFlags.
            WHEN (u.flags & ~302) <> 0 THEN 5
            WHEN u.id IS NULL OR u.id = '00000000-0000-0000-0000-000000000000' THEN 6
            WHEN u.id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 7
            WHEN a.id IS NULL THEN CASE
                WHEN (coalesce(u.flags, 0) & 6) = 6 THEN 8
                WHEN coalesce(u.ledger, 0) <= 0 THEN 13
                WHEN coalesce(u.code, 0) = 0 THEN 14
                ELSE 214 END
            WHEN (u.flags & ~32) <> (a.flags & ~32) THEN 15
            WHEN (u.merchant, u.reseller, u.scope, u.user_data)
                 IS DISTINCT FROM (a.merchant_id, a.reseller_id, a.scope_id, a.user_data) THEN 216
            WHEN u.ledger <> a.ledger THEN 19
            WHEN u.code <> a.code THEN 20
            WHEN a.xmin = pg_current_xact_id()::xid AND a.last_booked_at IS NULL
                 AND v_known < cardinality(p_id) THEN 0
            ELSE 21 END ORDER BY u.pos)
      INTO v_result
      FROM unnest(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags, p_user_data)
           WITH ORDINALITY AS u (id, code, ledger, merchant, reseller, scope, flags, user_data, pos)
      LEFT JOIN ledger_account a ON a.id = u.id;
    RETURN v_result;
END $$;
