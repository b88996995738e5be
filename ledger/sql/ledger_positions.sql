-- Where in an array each of some ids is: the first place of each.
--
-- Arguments: ids: what is looked up; keys: where.
-- Returns: for each of ids its first place in keys, from 1, or null; null where there are no keys.
-- Errors: none.
-- Callers: PUBLIC. Called by ledger_post_batch and its parts.
CREATE OR REPLACE FUNCTION ledger_positions(ids uuid[], keys uuid[]) RETURNS int[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    places int[];
BEGIN
    IF keys IS NULL OR cardinality(ids) > 16 THEN
        RETURN CASE WHEN keys IS NOT NULL THEN ledger_first_positions(ids, keys) END;
    END IF;
    -- Of a few, looking through the array is quicker than a query that joins.
    FOR i IN 1..cardinality(ids) LOOP
        places[i] := array_position(keys, ids[i]);
    END LOOP;
    RETURN places;
END $$;
