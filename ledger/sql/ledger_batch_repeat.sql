-- What becomes of a transfer in a batch where ids repeat, as if those before it had been posted by
-- calls of their own. It may be asked where none repeats, and changes nothing then.
--
-- Arguments: i: its place; fault: what is wrong with it by itself, or null; target: what it
--   settles; p_*: the batch, as in ledger_post; seen, previous: those of ledger_batch_seen and
--   ledger_batch_previous; the others: as in ledger_batch_judge, up to this transfer.
-- Returns: fault: the code of ledger_compare where its id was booked before it, 68 where that has
--   failed for good, else as given. target: the one of that id that was booked.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_repeat(
    i int, INOUT fault int, INOUT target int, p_id uuid[], p_debit uuid[], p_credit uuid[],
    p_amount bigint[], p_ledger int[], p_pending uuid[], p_timeout int[], p_effective date[],
    p_corrects uuid[], seen int[], previous int[], flags int[], codes int[], documents uuid[],
    account uuid[], account_ledger int[], targets int[], answers bigint[], d int[], c int[]
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
DECLARE
    j int := previous[i];
    k int;
BEGIN
    IF previous IS NOT NULL AND answers[target] < 0 THEN
        -- The first of that id failed; perhaps a later one was booked.
        target := (SELECT max(u.pos) FROM unnest(p_id, answers) WITH ORDINALITY
                       AS u (id, answer, pos) WHERE u.id = p_pending[i] AND u.answer >= 0);
    END IF;
    IF ledger_id_fault(flags[i], p_id[i]) IS NOT NULL OR seen[i] IS NOT NULL THEN
        RETURN;
    END IF;
    WHILE j IS NOT NULL LOOP
        IF answers[j] >= 0 THEN
            k := CASE WHEN flags[j] & 12 <> 0 THEN targets[j] END;
            fault := ledger_compare(
                flags[i], p_pending[i], p_timeout[i], p_debit[i], p_credit[i], p_amount[i],
                documents[i], p_effective[i], p_corrects[i], p_ledger[i], codes[i],
                flags[j], p_pending[j], p_timeout[j], account[d[j]], account[c[j]], answers[j],
                coalesce(documents[j], documents[k]), p_effective[j], p_corrects[j],
                account_ledger[d[j]], codes[coalesce(k, j)], answers[k], documents[k]);
            RETURN;
        ELSIF -answers[j] IN (21, 22, 25, 54, 55, 65, 66) THEN
            fault := 68;
            RETURN;
        END IF;
        j := previous[j];
    END LOOP;
END $$;
