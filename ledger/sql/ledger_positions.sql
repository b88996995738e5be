-- Where in an array each of some ids is. Hashed whatever the planner guesses: a nested loop over
-- two arrays is quadratic.
--
-- Arguments: ids: what is looked up; keys: where, each once.
-- Returns: for each of ids its place in keys, from 1, or null.
-- Errors: none.
-- Callers: PUBLIC. Called by ledger_post_batch.
CREATE OR REPLACE FUNCTION ledger_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE sql STABLE
SET enable_nestloop = off SET enable_mergejoin = off SET enable_hashjoin = on
AS $$
    SELECT array_agg(k.pos::int ORDER BY i.pos)
    FROM unnest(ids) WITH ORDINALITY AS i (id, pos)
    LEFT JOIN unnest(keys) WITH ORDINALITY AS k (id, pos) ON k.id = i.id
$$;
