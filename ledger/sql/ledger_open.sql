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
    v_known int;
BEGIN
    SELECT count(*) INTO v_known FROM ledger_account
     WHERE id = ANY (p_id);
    IF current_setting('role', true) IN ('app_merchant', 'app_reseller') THEN
        PERFORM ledger_open_own(p_merchant, p_reseller, p_scope, p_flags);
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
         WHERE ledger_opens(u.id, u.ledger, u.flags)
         ORDER BY u.id
            -- The id or the name: of two who open the same account at once, either index may be the
            -- one in which they meet.
            ON CONFLICT DO NOTHING;
        IF EXISTS (SELECT FROM unnest(p_id, p_name, p_code, p_ledger, p_flags)
                                 AS u (id, name, code, ledger, flags)
                     JOIN ledger_account a ON a.name = u.name AND a.id <> u.id
                     JOIN ledger_accountcode ch ON ch.code = u.code
                    WHERE ledger_opens(u.id, u.ledger, u.flags)
                      AND NOT EXISTS (SELECT FROM ledger_account b WHERE b.id = u.id)) THEN
            RAISE EXCEPTION 'an account of that name has another id' USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    RETURN ledger_open_answers(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags,
                               p_user_data, v_known < cardinality(p_id));
END $$;
