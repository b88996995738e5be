-- Book one transfer that is sound, in a few statements on scalars.
--
-- Arguments: p_role, p_tenant: the scope, as ledger_scope has found it; the others: one element of
--   those of ledger_post. p_flags: 0, pending, post or void; a post or void names what it settles.
-- Returns: the amount moved, in minor units; null where nothing was booked, and ledger_post_batch
--   has to say why. The accounts are locked then.
-- Errors: none.
-- Callers: none. Called by ledger_post, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_post_single(
    p_role text, p_tenant uuid, p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint,
    p_ledger int, p_code int, p_flags int, p_pending uuid, p_document uuid, p_effective date,
    p_corrects uuid
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    t record; a record; d record; c record;
    v_debit uuid := p_debit; v_credit uuid := p_credit; v_moved bigint := p_amount;
    v_code int := p_code; v_document uuid := p_document; v_whole bigint; v_expires timestamptz;
    v_found int := 0; v_fault int;
BEGIN
    IF p_flags >= 4 THEN
        -- A pending transfer never changes: it may be read before the locks.
        SELECT x.debit_account_id, x.credit_account_id, x.amount, x.ledger, x.code, x.flags,
               x.document_id, x.booked_at + make_interval(secs => nullif(x.timeout_s, 0)) AS expires
          INTO t FROM ledger_transfer x WHERE x.id = p_pending;
        IF (t.flags & 194) IS DISTINCT FROM 2 THEN RETURN NULL; END IF;
        v_debit := t.debit_account_id; v_credit := t.credit_account_id; v_code := t.code;
        v_whole := t.amount; v_expires := t.expires;
        v_document := coalesce(p_document, t.document_id);
        v_moved := ledger_settled_minor(p_flags, p_amount, v_whole);
    END IF;
    FOR a IN SELECT x.id, x.ledger, x.flags, x.merchant_id, x.reseller_id, x.debits_pending,
                    x.debits_posted, x.credits_pending, x.credits_posted, x.last_booked_at
               FROM ledger_account x
              WHERE x.id IN (v_debit, v_credit)
                AND (p_tenant IS NULL OR x.scope_id = p_tenant
                     OR (p_role = 'app_reseller' AND x.reseller_id = p_tenant))
              ORDER BY x.id FOR NO KEY UPDATE LOOP
        v_found := v_found + 1;
        IF a.id = v_debit THEN d := a; ELSE c := a; END IF;
    END LOOP;
    IF v_found < 2 THEN
        RETURN NULL;
    ELSIF p_flags < 4 THEN
        v_fault := coalesce(
            ledger_id_fault(p_flags, p_id),
            ledger_transfer_fault(
                p_flags, p_debit, p_credit, p_amount, p_ledger, p_code, NULL, NULL, d.ledger,
                c.ledger, d.merchant_id, c.merchant_id, d.reseller_id, c.reseller_id),
            ledger_balance_fault(
                p_flags, p_amount, d.flags, d.debits_pending, d.debits_posted, d.credits_posted,
                c.flags, c.credits_pending, c.credits_posted, c.debits_posted));
    ELSE
        v_fault := coalesce(
            ledger_id_fault(p_flags, p_id),
            ledger_settlement_fault(p_flags, p_id, p_amount, p_pending, NULL),
            ledger_settled_fault(
                p_flags, p_debit, p_credit, p_ledger, p_code, v_moved, v_whole, t.flags, v_debit,
                v_credit, t.ledger, t.code, 0, false, d.flags, c.flags));
    END IF;
    IF v_fault IS NOT NULL THEN RETURN NULL; END IF;
    IF ledger_write_single(p_id, v_debit, v_credit, v_moved, v_code, p_flags, p_pending, v_whole,
                           v_expires, v_document, p_effective, p_corrects, d, c) THEN
        RETURN v_moved;
    END IF;
    RETURN NULL;
END $$;
