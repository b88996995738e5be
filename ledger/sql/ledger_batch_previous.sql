-- Where in a batch each id was before.
--
-- Arguments: p_id: the ids of the batch.
-- Returns: for each transfer the place of the last one before it with the same id, or null; null
--   where no id repeats.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_previous(p_id uuid[]) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    has_repeats boolean := false;
BEGIN
    IF n <= 16 THEN
        FOR i IN 2..n LOOP
            has_repeats := has_repeats OR array_position(p_id, p_id[i]) < i;
        END LOOP;
    ELSE
        has_repeats := (SELECT count(DISTINCT u.id) FROM unnest(p_id) AS u (id)) < n;
    END IF;
    IF NOT has_repeats THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT array_agg(x.previous ORDER BY x.pos) FROM (
        SELECT u.pos, lag(u.pos) OVER (PARTITION BY u.id ORDER BY u.pos)::int AS previous
        FROM unnest(p_id) WITH ORDINALITY AS u (id, pos)) x);
END $$;
