-- Lock the accounts of a batch in id order, once each, so that no two calls can deadlock, and read
-- them as they are then.
--
-- Arguments: p_role, p_tenant: the scope, as ledger_post has found it; p_tenant is null where all
--   accounts are in it. p_ids: accounts, in any order and number.
-- Returns: one array element for each account that is in the scope, by id: id, ledger, merchant,
--   reseller, balances (debits pending, debits, credits pending, credits, flags, and 0, which will
--   be the place of the last transfer that moved it). at: when the first transfer is booked, after
--   whatever the accounts have seen. has_history, has_transit: whether any keeps its balances, or
--   is a transit account.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_accounts(
    p_role text, p_tenant uuid, p_ids uuid[], OUT id uuid[], OUT ledger int[], OUT merchant uuid[],
    OUT reseller uuid[], OUT balances bigint[], OUT at timestamptz, OUT has_history boolean,
    OUT has_transit boolean
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT array_agg(a.id), array_agg(a.ledger), array_agg(a.merchant_id),
           array_agg(a.reseller_id),
           array_agg(ARRAY[a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted,
                           a.flags, 0]),
           greatest(clock_timestamp(), max(a.last_booked_at) + interval '1 microsecond'),
           bool_or(a.flags & 8 <> 0), bool_or(a.flags & 256 <> 0)
      INTO id, ledger, merchant, reseller, balances, at, has_history, has_transit
      FROM (SELECT x.* FROM ledger_account x
             WHERE x.id = ANY (p_ids)
               -- Another tenant's account is not found.
               AND (p_tenant IS NULL OR x.scope_id = p_tenant
                    OR (p_role = 'app_reseller' AND x.reseller_id = p_tenant))
             ORDER BY x.id FOR NO KEY UPDATE) a;
END $$;
