-- Write what was decided about a batch: each account once, and the transfers with one statement.
--
-- Arguments: p_id to p_corrects: the batch, as in ledger_post; codes, documents: of the batch's
--   transfers and then of the stored ones that it settles, by place; a: the record of
--   ledger_batch_accounts; j: the record of ledger_batch_judge.
-- Returns: nothing.
-- Errors: unique_violation for a transfer that was corrected before.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_write(
    p_id uuid[], p_flags int[], p_timeout int[], p_effective date[], p_pending uuid[],
    p_corrects uuid[], codes int[], documents uuid[], a record, j record
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    zero CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    -- What a query looks into by place is unpacked once.
    account CONSTANT uuid[] := a.id; account_ledger CONSTANT int[] := a.ledger;
    merchant CONSTANT uuid[] := a.merchant; reseller CONSTANT uuid[] := a.reseller;
    b CONSTANT bigint[] := j.b; h CONSTANT bigint[] := j.h;
    v_start CONSTANT timestamptz := a.at - interval '1 microsecond';
BEGIN
    UPDATE ledger_account x
       SET debits_pending = b[u.pos][1], debits_posted = b[u.pos][2], credits_pending = b[u.pos][3],
           credits_posted = b[u.pos][4], flags = b[u.pos][5],
           last_booked_at = v_start + b[u.pos][6] * interval '1 microsecond'
      FROM unnest(account) WITH ORDINALITY AS u (id, pos)
     WHERE x.id = u.id AND b[u.pos][6] > 0;
    INSERT INTO ledger_transfer (
        id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
        flags, timeout_s, effective_on, pending_id, document_id, corrects_id, merchant_id,
        reseller_id, debit_debits_pending, debit_debits_posted, debit_credits_pending,
        debit_credits_posted, credit_debits_pending, credit_debits_posted,
        credit_credits_pending, credit_credits_posted)
    SELECT u.id, account[u.d], account[u.c], u.answer, nextval('ledger_timestamp'),
           v_start + u.pos * interval '1 microsecond', account_ledger[u.d], codes[u.source],
           coalesce(u.flags, 0), nullif(u.timeout, 0), u.effective, nullif(u.pending, zero),
           coalesce(documents[u.pos], documents[u.source]), u.corrects,
           coalesce(merchant[u.d], merchant[u.c]), coalesce(reseller[u.d], reseller[u.c]),
           h[u.pos][1], h[u.pos][2], h[u.pos][3], h[u.pos][4],
           h[u.pos][5], h[u.pos][6], h[u.pos][7], h[u.pos][8]
      FROM (SELECT r.*, CASE WHEN r.flags & 12 <> 0 THEN r.target ELSE r.pos END AS source
              FROM unnest(p_id, p_flags, p_timeout, p_effective, p_pending, p_corrects, j.d, j.c,
                          j.targets, j.answers) WITH ORDINALITY
                   AS r (id, flags, timeout, effective, pending, corrects, d, c, target, answer,
                         pos)
             WHERE r.pos <= cardinality(p_id) AND r.answer >= 0) u;
    IF a.has_transit THEN
        PERFORM ledger_check_transit(account);
    END IF;
    IF 0 < ANY (p_timeout) THEN
        INSERT INTO ledger_pendingtimeout (transfer_id, expires_at)
        SELECT u.id, v_start + u.pos * interval '1 microsecond'
                   + make_interval(secs => u.timeout)
          FROM unnest(p_id, p_timeout, j.answers) WITH ORDINALITY AS u (id, timeout, answer, pos)
         WHERE u.answer >= 0 AND u.timeout > 0;
    END IF;
END $$;
