-- The amount of a post or a void: what it names, or all that is pending.
--
-- Arguments: flags, amount: of the post or void; whole: the amount of the pending transfer.
-- Returns: the amount in minor units.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_settled_minor(flags int, amount bigint, whole bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN amount IS NULL OR (amount = 0 AND flags & 8 <> 0) THEN whole ELSE amount END
$$;
