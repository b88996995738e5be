-- Write one transfer that was found sound, with its accounts locked.
--
-- Arguments: p_id to p_corrects: the transfer; whole, expires: amount and end of the pending one
--   that it settles; d, c: the accounts, as they are.
-- Returns: whether it was written; not where its id has failed or was booked before, what it settles
--   is over, or what it corrects was corrected.
-- Errors: none.
-- Callers: none. Called by ledger_post_single, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_write_single(
    p_id uuid, debit uuid, credit uuid, moved bigint, p_code int, p_flags int, pending uuid,
    whole bigint, expires timestamptz, document uuid, effective date, corrects uuid, d record,
    c record
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    reserved CONSTANT bigint := CASE WHEN p_flags = 2 THEN moved ELSE -coalesce(whole, 0) END;
    posted CONSTANT bigint := CASE WHEN p_flags IN (0, 4) THEN moved ELSE 0 END;
    dp CONSTANT bigint := d.debits_pending + reserved; dd CONSTANT bigint := d.debits_posted + posted;
    cp CONSTANT bigint := c.credits_pending + reserved;
    cc CONSTANT bigint := c.credits_posted + posted;
    -- Balances are kept where the account says so: times null elsewhere.
    hd CONSTANT int := CASE WHEN d.flags & 8 <> 0 THEN 1 END;
    hc CONSTANT int := CASE WHEN c.flags & 8 <> 0 THEN 1 END;
    v_at CONSTANT timestamptz := greatest(
        clock_timestamp(), d.last_booked_at + interval '1 microsecond',
        c.last_booked_at + interval '1 microsecond');
BEGIN
    -- A statement of its own after the locks: it sees what was committed while we waited for them,
    -- such as that this id has failed, or that the reservation is over.
    INSERT INTO ledger_transfer (
        id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
        flags, pending_id, effective_on, document_id, corrects_id, merchant_id, reseller_id,
        debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted,
        credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted)
    SELECT p_id, debit, credit, moved, nextval('ledger_timestamp'), v_at, d.ledger, p_code, p_flags,
           pending, effective, document, corrects, coalesce(d.merchant_id, c.merchant_id),
           coalesce(d.reseller_id, c.reseller_id), hd * dp, hd * dd, hd * d.credits_pending,
           hd * d.credits_posted, hc * c.debits_pending, hc * c.debits_posted, hc * cp, hc * cc
     WHERE (expires IS NULL OR expires > v_at)
       AND NOT EXISTS (SELECT FROM ledger_failedtransfer f WHERE f.id = p_id)
        -- The id, or another settlement of the same pending transfer.
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE ledger_account x
       SET debits_pending = CASE x.id WHEN debit THEN dp ELSE x.debits_pending END,
           debits_posted = CASE x.id WHEN debit THEN dd ELSE x.debits_posted END,
           credits_pending = CASE x.id WHEN debit THEN x.credits_pending ELSE cp END,
           credits_posted = CASE x.id WHEN debit THEN x.credits_posted ELSE cc END,
           last_booked_at = v_at
     WHERE x.id IN (debit, credit);
    IF (d.flags | c.flags) & 256 <> 0 THEN
        PERFORM ledger_check_transit(ARRAY[debit, credit]);
    END IF;
    RETURN true;
END $$;
