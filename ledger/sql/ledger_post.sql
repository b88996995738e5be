-- Post transfers: the way in. A single transfer that is sound is booked in a few statements on
-- scalars (ledger_post_single); everything else, and every single one that turns out not to be sound, is judged as a
-- batch (ledger_post_batch), with the accounts already locked. Both give the same answers.
--
-- Arguments: one array element for each transfer: p_id, p_debit, p_credit, p_amount (minor units),
--   p_ledger, p_code, p_flags (ledger.flags.TransferFlags), p_pending (what a post or void
--   settles), p_timeout (seconds), p_document, p_effective, p_corrects. A whole array may be null
--   where no transfer says anything. p_role, p_tenant: the scope that a login role outside any
--   scope would have opened; ignored within one.
-- Returns: for each transfer the amount moved where it was booked (zero or more), else the negated
--   code of ledger.status.TransferStatus.
-- Errors: insufficient_privilege without a scope, for a scope that the login role cannot open, and
--   for a correction (p_corrects) in a tenant's scope; those of ledger_post_batch.
-- Callers: app_merchant, app_reseller, app_staff, app_worker, merchantry_app. Runs as app_definer.
--   The login role may post outside a scope (one round trip, ADR 0020); within one, only as that
--   one.
CREATE OR REPLACE FUNCTION ledger_post(
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[] DEFAULT NULL, p_pending uuid[] DEFAULT NULL, p_timeout int[] DEFAULT NULL,
    p_document uuid[] DEFAULT NULL, p_effective date[] DEFAULT NULL, p_corrects uuid[] DEFAULT NULL,
    p_role text DEFAULT NULL, p_tenant uuid DEFAULT NULL
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    scope record := ledger_scope(p_role, p_tenant, p_corrects);
    flags int := coalesce(p_flags[1], 0);
    moved bigint;
BEGIN
    IF cardinality(p_id) = 1 AND p_timeout IS NULL AND flags IN (0, 2, 4, 8)
       AND (p_pending IS NULL) = (flags < 4)
    THEN
        moved := ledger_post_single(
            scope.role, scope.tenant, p_id[1], p_debit[1], p_credit[1], p_amount[1], p_ledger[1],
            p_code[1], flags, p_pending[1], p_document[1], p_effective[1], p_corrects[1]);
        IF moved IS NOT NULL THEN
            RETURN ARRAY[moved];
        END IF;
    END IF;
    RETURN ledger_post_batch(scope.role, scope.tenant, p_id, p_debit, p_credit, p_amount, p_ledger,
                             p_code, p_flags, p_pending, p_timeout, p_document, p_effective,
                             p_corrects);
END $$;
