-- How the stored transfers that a batch settles have ended. Read with the accounts locked, so that
-- it includes what was committed while the batch waited for them.
--
-- Arguments: p_ids: pending transfers, or null.
-- Returns: for each the flag of what has ended it (4 posted, 8 voided, 512 expired), or 0.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_ended(p_ids uuid[]) RETURNS int[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (SELECT array_agg(coalesce(t.flags & 524, 0) ORDER BY u.pos)
              FROM unnest(p_ids) WITH ORDINALITY AS u (id, pos)
              LEFT JOIN ledger_transfer t ON t.pending_id = u.id);
END $$;
