-- Book one transfer that is sound, in a few statements on scalars. PL/pgSQL prepares every
-- expression again in each transaction, each operator at a price, so one expression asks whether
-- all is well; what is wrong is found in ledger_post_batch, and only where something is.
--
-- Arguments: p_role, p_tenant: the scope, as ledger_post has found it; the others: one element of
--   those of ledger_post. p_flags: 0, pending, post or void; a post or void names what it settles.
-- Returns: the amount moved, in minor units; null where nothing was booked, and ledger_post_batch
--   has to say why. The accounts may be locked then.
-- Errors: none.
-- Callers: none. Called by ledger_post, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_post_single(
    p_role text, p_tenant uuid, p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint,
    p_ledger int, p_code int, p_flags int, p_pending uuid, p_document uuid, p_effective date,
    p_corrects uuid
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_whole bigint; v_expires timestamptz; v_found int := 0; a record; d record; c record;
    v_sound boolean;
BEGIN
    IF p_flags >= 4 THEN
        -- A pending transfer never changes: it may be read before the locks, for what is left out.
        SELECT x.debit_account_id, x.credit_account_id, x.amount, coalesce(p_amount, x.amount),
               x.ledger, x.code, coalesce(p_document, x.document_id),
               x.booked_at + make_interval(secs => nullif(x.timeout_s, 0))
          INTO p_debit, p_credit, v_whole, p_amount, p_ledger, p_code, p_document, v_expires
          FROM ledger_transfer x
         WHERE x.id = p_pending AND x.flags & 194 = 2
           AND coalesce(p_amount, x.amount) <= x.amount
           AND (p_flags = 4 OR coalesce(p_amount, x.amount) = x.amount)
           AND coalesce(p_debit, x.debit_account_id) = x.debit_account_id
           AND coalesce(p_credit, x.credit_account_id) = x.credit_account_id
           AND coalesce(p_ledger, 0) IN (0, x.ledger) AND coalesce(p_code, 0) IN (0, x.code);
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    FOR a IN SELECT x.id, x.ledger, x.flags::bigint AS flags, x.merchant_id, x.reseller_id,
                    x.debits_pending, x.debits_posted, x.credits_pending, x.credits_posted,
                    x.last_booked_at
               FROM ledger_account x
              WHERE x.id IN (p_debit, p_credit)
                AND (p_tenant IS NULL OR x.scope_id = p_tenant
                     OR (p_role = 'app_reseller' AND x.reseller_id = p_tenant))
              ORDER BY x.id FOR NO KEY UPDATE LOOP
        v_found := v_found + 1;
        IF a.id = p_debit THEN d := a; ELSE c := a; END IF;
    END LOOP;
    IF v_found < 2 THEN
        RETURN NULL;
    ELSIF v_whole IS NULL THEN
        v_sound := (d.merchant_id = c.merchant_id) IS NOT false
            AND (d.reseller_id = c.reseller_id) IS NOT false
            AND ledger_covers(
                p_amount, d.flags, d.debits_pending, d.debits_posted, d.credits_posted, c.flags,
                c.credits_pending, c.credits_posted, c.debits_posted);
    ELSE
        v_sound := p_amount > 0 AND (d.flags | c.flags) & 32 = 0;
    END IF;
    IF v_sound AND d.ledger = p_ledger AND c.ledger = p_ledger AND p_code > 0
        AND p_id NOT IN ('00000000-0000-0000-0000-000000000000',
                         'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND ledger_write_single(p_id, p_debit, p_credit, p_amount, v_whole, p_ledger, p_code,
                                p_flags, p_pending, v_expires, p_document, p_effective,
                                p_corrects, d, c)
    THEN
        RETURN p_amount;
    END IF;
    RETURN NULL;
END $$;
