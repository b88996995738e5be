-- The stored transfers that a batch settles. A pending transfer never changes, so it may be read
-- before the locks; it says which accounts to lock where the caller leaves them out.
--
-- Arguments: p_ids: what the batch names as pending; may be null, and may name what is not stored.
-- Returns: one array element for each that is stored: id, accounts, amount, code, flags, document
--   and when it expires (null: never); nulls where there is none.
-- Errors: none.
-- Callers: none. Called by ledger_post_batch, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_batch_pendings(
    p_ids uuid[], OUT id uuid[], OUT debit uuid[], OUT credit uuid[], OUT amount bigint[],
    OUT code int[], OUT flags int[], OUT document uuid[], OUT expires timestamptz[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_ids IS NOT NULL THEN
        SELECT array_agg(t.id), array_agg(t.debit_account_id), array_agg(t.credit_account_id),
               array_agg(t.amount), array_agg(t.code), array_agg(t.flags),
               array_agg(t.document_id),
               array_agg(t.booked_at + make_interval(secs => nullif(t.timeout_s, 0)))
          INTO id, debit, credit, amount, code, flags, document, expires
          FROM ledger_transfer t WHERE t.id = ANY (p_ids);
    END IF;
END $$;
