-- What each transfer of a batch settles, by place: those of the batch come first, and then the
-- stored ones that ledger_batch_pendings has found.
--
-- Arguments: p_id, p_pending: of the batch; p_stored: ids of the stored ones, or null.
-- Returns: for each transfer the place of the one that it names as pending, or null: a stored one,
--   else the first of that id in the batch.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_targets(p_id uuid[], p_pending uuid[], p_stored uuid[])
RETURNS int[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    stored CONSTANT int[] := ledger_positions(p_pending, p_stored);
    targets int[] := stored;
    here int[];
BEGIN
    IF n > 1 AND (stored IS NULL OR array_position(stored, NULL) IS NOT NULL) THEN
        here := ledger_positions(p_pending, p_id);
    END IF;
    FOR i IN 1..n LOOP
        targets[i] := coalesce(n + stored[i], here[i]);
    END LOOP;
    RETURN targets;
END $$;
