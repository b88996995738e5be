-- Write one transfer that was found sound, with its accounts locked.
--
-- Arguments: p_id to corrects: the transfer; whole, expires: amount and end of the pending one that
--   it settles; d, c: the accounts, as they are.
-- Returns: whether it was written; not where its id has failed or was booked before, what it
--   settles is over, or what it corrects was corrected.
-- Errors: none.
-- Callers: none. Called by ledger_post_single, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_write_single(
    p_id uuid, debit uuid, credit uuid, moved bigint, whole bigint, p_ledger int, p_code int,
    p_flags int, pending uuid, expires timestamptz, document uuid, effective date, corrects uuid,
    d record, c record
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    h1 bigint; h2 bigint; h3 bigint; h4 bigint; h5 bigint; h6 bigint; h7 bigint; h8 bigint;
    v_at CONSTANT timestamptz := greatest(
        clock_timestamp(),
        greatest(d.last_booked_at, c.last_booked_at) + interval '1 microsecond');
BEGIN
    IF p_flags = 2 THEN
        d.debits_pending := d.debits_pending + moved;
        c.credits_pending := c.credits_pending + moved;
    ELSE
        IF whole IS NOT NULL THEN
            d.debits_pending := d.debits_pending - whole;
            c.credits_pending := c.credits_pending - whole;
        END IF;
        IF p_flags <> 8 THEN
            d.debits_posted := d.debits_posted + moved;
            c.credits_posted := c.credits_posted + moved;
        END IF;
    END IF;
    -- Balances are kept where the account says so.
    IF d.flags & 8 <> 0 THEN
        h1 := d.debits_pending; h2 := d.debits_posted;
        h3 := d.credits_pending; h4 := d.credits_posted;
    END IF;
    IF c.flags & 8 <> 0 THEN
        h5 := c.debits_pending; h6 := c.debits_posted;
        h7 := c.credits_pending; h8 := c.credits_posted;
    END IF;
    -- A statement of its own after the locks: it sees what was committed while we waited for them,
    -- such as that this id has failed, or that the reservation is over.
    INSERT INTO ledger_transfer (
        id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code,
        flags, pending_id, effective_on, document_id, corrects_id, merchant_id, reseller_id,
        debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted,
        credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted)
    SELECT p_id, debit, credit, moved, nextval('ledger_timestamp'), v_at, p_ledger, p_code, p_flags,
           pending, effective, document, corrects, coalesce(d.merchant_id, c.merchant_id),
           coalesce(d.reseller_id, c.reseller_id), h1, h2, h3, h4, h5, h6, h7, h8
     WHERE (expires IS NULL OR expires > v_at)
       AND NOT EXISTS (SELECT FROM ledger_failedtransfer f WHERE f.id = p_id)
        -- The id, or another settlement of the same pending transfer.
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE ledger_account x
       SET debits_pending = CASE x.id WHEN debit THEN d.debits_pending ELSE c.debits_pending END,
           debits_posted = CASE x.id WHEN debit THEN d.debits_posted ELSE c.debits_posted END,
           credits_pending = CASE x.id WHEN debit THEN d.credits_pending ELSE c.credits_pending END,
           credits_posted = CASE x.id WHEN debit THEN d.credits_posted ELSE c.credits_posted END,
           last_booked_at = v_at
     WHERE x.id IN (debit, credit);
    IF (d.flags | c.flags) & 256 <> 0 THEN
        PERFORM ledger_check_transit(ARRAY[debit, credit]);
    END IF;
    RETURN true;
END $$;
