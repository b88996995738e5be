-- What is known of the ids of a batch. Read with the accounts locked, so that it includes what was
-- committed while the batch waited for them.
--
-- Arguments: those of ledger_post, from p_id to p_corrects.
-- Returns: for each transfer null where its id is new, 68 where it has failed before, else what
--   ledger_known says; null where all are new.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_seen(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS int[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_booked boolean;
    failed uuid[];
    seen int[];
    places int[];
BEGIN
    SELECT EXISTS (SELECT FROM ledger_transfer t WHERE t.id = ANY (p_id)),
           (SELECT array_agg(f.id) FROM ledger_failedtransfer f WHERE f.id = ANY (p_id))
      INTO is_booked, failed;
    IF is_booked THEN
        seen := ledger_known(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags,
                             p_pending, p_timeout, p_document, p_effective, p_corrects);
    END IF;
    IF failed IS NOT NULL THEN
        places := ledger_positions(p_id, failed);
        FOR i IN 1..cardinality(p_id) LOOP
            seen[i] := coalesce(seen[i], CASE WHEN places[i] IS NOT NULL THEN 68 END);
        END LOOP;
    END IF;
    RETURN seen;
END $$;
