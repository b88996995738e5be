-- Posting as a transaction of its own, in one round trip: opens the scope and posts. The login role
-- may call it outside any scope, and thereby do no more than it may anyway: it names the scope of
-- its transactions itself.
CREATE FUNCTION ledger_commit(
    p_role text, p_tenant uuid,
    p_id uuid[], p_debit uuid[], p_credit uuid[], p_amount bigint[], p_ledger int[], p_code int[],
    p_flags int[], p_pending uuid[], p_timeout int[], p_document uuid[], p_effective date[],
    p_corrects uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM set_config('role', p_role, true), set_config('app.tenant', coalesce(p_tenant::text, ''), true);
    RETURN ledger_post(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags, p_pending,
                       p_timeout, p_document, p_effective, p_corrects);
END $$;
REVOKE ALL ON FUNCTION ledger_commit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_commit TO merchantry_app;
