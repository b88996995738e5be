-- ledger_positions where there are many ids. Hashed whatever the planner guesses: a nested loop
-- over two arrays is quadratic.
--
-- Arguments: ids: what is looked up; keys: where.
-- Returns: for each of ids its first place in keys, from 1, or null.
-- Errors: none.
-- Callers: PUBLIC. Called by ledger_positions.
CREATE OR REPLACE FUNCTION ledger_first_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE sql STABLE
SET enable_nestloop = off SET enable_mergejoin = off SET enable_hashjoin = on
AS $$
    SELECT array_agg(k.pos ORDER BY i.pos)
    FROM unnest(ids) WITH ORDINALITY AS i (id, pos)
    LEFT JOIN (SELECT u.id, min(u.pos)::int AS pos
                 FROM unnest(keys) WITH ORDINALITY AS u (id, pos) GROUP BY u.id) k ON k.id = i.id
$$;
