-- Post a batch of up to 8,190 transfers and answer for each of them.
--
-- The order of work is what makes it right and quick:
--   1. the accounts are locked in id order, once each (ledger_batch_accounts);
--   2. what a decision needs is read set by set, after the locks;
--   3. every transfer is judged in order, in memory (ledger_batch_judge);
--   4. accounts are written once each, transfers inserted with one statement (ledger_batch_write).
-- The parts are called here alone, and run under the settings below.
--
-- Arguments: v_role, v_tenant: the scope, as ledger_post has found it; v_tenant is null where all
--   accounts are in it. The others are those of ledger_post.
-- Returns: for each transfer the amount moved where it was booked (zero or more), else the negated
--   code of ledger.status.TransferStatus.
-- Errors: program_limit_exceeded past 8,190 transfers; unique_violation for a transfer that was
--   corrected before. At the commit, a transit account that is not at zero (ledger_transit_zero).
-- Callers: none. Runs as app_definer. Called by ledger_post.
CREATE OR REPLACE FUNCTION ledger_post_batch(
    v_role text, v_tenant uuid,
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    n CONSTANT int := cardinality(p_id);
    s record; a record; j record; k int; wanted uuid[] := p_debit || p_credit;
    seen int[]; previous int[]; targets int[]; d int[]; c int[]; expires timestamptz[];
    flags int[] := array_replace(coalesce(p_flags, array_fill(0, ARRAY[n])), NULL, 0);
    codes int[] := p_code; documents uuid[] := p_document;
    answers bigint[] := array_fill(-1::bigint, ARRAY[n]);
    state int[] := array_fill(0, ARRAY[n]);
BEGIN
    IF n = 0 THEN
        RETURN '{}'::bigint[];
    ELSIF n > 8190 THEN
        RAISE EXCEPTION 'a batch holds at most 8190 transfers, not %', n
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    IF p_pending IS NOT NULL THEN
        s := ledger_batch_pendings(p_pending);
        wanted := wanted || s.debit || s.credit; expires := s.expires;
        targets := ledger_batch_targets(p_id, p_pending, s.id);
    END IF;
    a := ledger_batch_accounts(v_role, v_tenant, wanted);
    seen := ledger_batch_seen(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags,
                              p_pending, p_timeout, p_document, p_effective, p_corrects);
    previous := ledger_batch_previous(p_id);
    d := ledger_positions(p_debit, a.id);
    c := ledger_positions(p_credit, a.id);
    IF expires IS NOT NULL THEN
        -- What is stored takes the places after the batch, as if it had been booked by it.
        k := n + cardinality(s.id);
        d[n + 1:k] := ledger_positions(s.debit, a.id); c[n + 1:k] := ledger_positions(s.credit, a.id);
        flags[n + 1:k] := s.flags; codes[n + 1:k] := s.code; documents[n + 1:k] := s.document;
        answers[n + 1:k] := s.amount; state[n + 1:k] := ledger_batch_ended(s.id);
    END IF;
    j := ledger_batch_judge(
        p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_pending, p_timeout, p_effective,
        p_corrects, seen, previous, flags, codes, documents,
        ledger_batch_faults(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_pending,
                            p_timeout, flags, d, c, seen, a.ledger, a.merchant, a.reseller),
        a.at, a.id, a.ledger, expires, state, d, c, targets, answers, a.balances,
        CASE WHEN a.has_history THEN array_fill(NULL::bigint, ARRAY[n, 8]) END);
    answers := j.answers[1:n];
    IF 0 <= ANY (answers) THEN
        PERFORM ledger_batch_write(p_id, p_flags, p_timeout, p_effective, p_pending, p_corrects,
                                   codes, documents, a, j);
    END IF;
    IF 0 > ANY (answers) THEN
        INSERT INTO ledger_failedtransfer (id, status, failed_at)
        SELECT u.id, -u.answer, clock_timestamp() FROM unnest(p_id, answers) AS u (id, answer)
         WHERE -u.answer IN (21, 22, 25, 54, 55, 65, 66)
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN answers;
END $$;
