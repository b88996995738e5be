-- What is known of the ids of some transfers; silent about other tenants' transfers.
--
-- Arguments: one array element for each transfer, as in ledger_post.
-- Returns: for each transfer null where the id is new, 46 where it was booked with the same
--   content, else the code of the field that differs. Of another tenant's transfer a scope learns
--   that the id is taken (37), and not what it says.
-- Errors: none.
-- Callers: app_merchant, app_reseller, app_staff, app_worker. Runs as app_definer.
--   ledger_post_batch calls it too.
CREATE OR REPLACE FUNCTION ledger_known(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS int[]
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    SELECT array_agg(x.status ORDER BY x.pos) FROM (
        SELECT u.pos, CASE
            WHEN e.id IS NULL THEN NULL
            -- Of another tenant's transfer a scope learns that the id is taken, and not what it says.
            WHEN s.tenant IS NOT NULL AND NOT EXISTS (
                SELECT FROM ledger_account a
                 WHERE a.id = e.debit_account_id
                   AND (a.scope_id = s.tenant OR a.reseller_id = s.tenant)) THEN 37
            ELSE ledger_compare(
            coalesce(u.flags, 0), u.pending, u.timeout, u.debit, u.credit, u.amount,
            u.document, u.effective, u.corrects, u.ledger, u.code,
            e.flags, e.pending_id, e.timeout_s, e.debit_account_id, e.credit_account_id,
            e.amount, e.document_id, e.effective_on, e.corrects_id, e.ledger, e.code,
            p.amount, p.document_id) END AS status
        FROM unnest(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags, p_pending,
                    p_timeout, p_document, p_effective, p_corrects) WITH ORDINALITY
             AS u (id, debit, credit, amount, ledger, code, flags, pending, timeout, document,
                   effective, corrects, pos)
        CROSS JOIN (SELECT core_scope_tenant() AS tenant) s
        LEFT JOIN ledger_transfer e ON e.id = u.id
        LEFT JOIN ledger_transfer p ON p.id = e.pending_id) x
$$;
