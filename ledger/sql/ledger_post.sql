-- Post transfers: the way in. A single transfer that is sound is booked in a few statements on
-- scalars (ledger_post_single); everything else, and every single one that turns out not to be
-- sound, is judged as a batch (ledger_post_batch), with the accounts already locked. Both give the
-- same answers.
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
    role text := current_setting('role', true);
    tenant uuid;
    flags int := coalesce(p_flags[1], 0);
    moved bigint;
BEGIN
    IF role = 'none' THEN
        -- The login role itself, outside any scope: it names the one it would have opened.
        IF coalesce(p_role, '') NOT IN ('app_merchant', 'app_reseller', 'app_staff', 'app_worker')
        THEN
            RAISE EXCEPTION 'ledger_post() needs a scope' USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- Only one that the process could have opened: a web process posts as no worker. Before 16
        -- there is one login role, which opens all of them, and membership knows no SET.
        IF NOT pg_has_role(session_user, p_role, CASE
                WHEN current_setting('server_version_num') >= '160000' THEN 'SET'
                ELSE 'MEMBER' END) THEN
            RAISE EXCEPTION '% does not post as %', session_user, p_role
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        role := p_role;
        tenant := p_tenant;
    ELSIF role IN ('app_merchant', 'app_reseller') THEN
        tenant := nullif(current_setting('app.tenant', true), '')::uuid;
    END IF;
    IF role IN ('app_merchant', 'app_reseller') THEN
        tenant := coalesce(tenant, '00000000-0000-0000-0000-000000000000');
        -- A transfer is corrected once. A tenant that took that place could name any transfer there.
        IF p_corrects IS NOT NULL AND cardinality(array_remove(p_corrects, NULL)) > 0 THEN
            RAISE EXCEPTION 'corrections are booked by staff alone'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    ELSE
        tenant := NULL;
    END IF;
    IF cardinality(p_id) = 1 AND p_timeout IS NULL
       AND (CASE WHEN p_pending IS NULL THEN flags IN (0, 2) ELSE flags IN (4, 8) END)
    THEN
        moved := ledger_post_single(
            role, tenant, p_id[1], p_debit[1], p_credit[1], p_amount[1], p_ledger[1],
            p_code[1], flags, p_pending[1], p_document[1], p_effective[1], p_corrects[1]);
        IF moved IS NOT NULL THEN
            RETURN ARRAY[moved];
        END IF;
    END IF;
    RETURN ledger_post_batch(role, tenant, p_id, p_debit, p_credit, p_amount, p_ledger, p_code,
                             p_flags, p_pending, p_timeout, p_document, p_effective, p_corrects);
END $$;
