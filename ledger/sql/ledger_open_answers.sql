-- What became of each account that was to be opened.
--
-- Arguments: p_id to p_user_data: those of ledger_open; p_opened: whether any was opened by this
--   call.
-- Returns: the answers of ledger_open.
-- Errors: none.
-- Callers: none. Called by ledger_open, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_open_answers(
    p_id uuid[], p_code int[], p_ledger int[], p_merchant uuid[], p_reseller uuid[], p_scope uuid[],
    p_flags int[], p_user_data uuid[], p_opened boolean
) RETURNS int[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT array_agg(CASE
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
            WHEN p_opened AND a.xmin = pg_current_xact_id()::xid AND a.last_booked_at IS NULL THEN 0
            ELSE 21 END ORDER BY u.pos)
      FROM unnest(p_id, p_code, p_ledger, p_merchant, p_reseller, p_scope, p_flags, p_user_data)
           WITH ORDINALITY AS u (id, code, ledger, merchant, reseller, scope, flags, user_data, pos)
      LEFT JOIN ledger_account a ON a.id = u.id);
END $$;
