-- Have those accounts that are transit accounts checked at the commit (ledger_transit_zero).
--
-- Arguments: p_ids: accounts; others than transit accounts are left out.
-- Returns: nothing.
-- Errors: none here; what the check finds fails the commit.
-- Callers: PUBLIC. Called by ledger_post and ledger_post_batch; app_definer alone may write the
--   table.
CREATE OR REPLACE FUNCTION ledger_check_transit(p_ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO ledger_transitcheck (account_id)
    SELECT id FROM ledger_account WHERE id = ANY (p_ids) AND (flags & 256) <> 0
$$;
