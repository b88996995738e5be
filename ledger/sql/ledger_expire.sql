-- Release pending transfers whose time is up. Each release is a transfer of its own (flag 512) that
-- names what it released, so that every balance follows from transfers alone.
--
-- Arguments: p_limit: how many to look at in this call.
-- Returns: due: how many were due, settled ones included, which are only forgotten; released: how
--   many were released. A caller that goes on until due is less than p_limit has seen all of them.
-- Errors: none; rows that another sweeper holds are skipped.
-- Callers: app_worker. Runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_expire(p_limit int DEFAULT 1000, OUT due int, OUT released int) RETURNS record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_due uuid[];
    v_accounts uuid[];
    v_at timestamptz;
    v_open uuid[];
BEGIN
    -- Rows that another sweeper holds are its business.
    SELECT array_agg(x.transfer_id) INTO v_due FROM (
        SELECT transfer_id FROM ledger_pendingtimeout WHERE expires_at <= clock_timestamp()
         ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED) x;
    due := coalesce(cardinality(v_due), 0);
    released := 0;
    IF due = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT s.id) INTO v_accounts
      FROM ledger_transfer t, LATERAL (VALUES (t.debit_account_id), (t.credit_account_id)) s (id)
     WHERE t.id = ANY (v_due);
    -- One time for all of it, after whatever the accounts have seen: the journal's rows and the
    -- accounts' must agree, and a clock read row by row runs on between them.
    SELECT greatest(max(a.last_booked_at), clock_timestamp()) INTO v_at FROM (
        SELECT last_booked_at FROM ledger_account WHERE id = ANY (v_accounts)
         ORDER BY id FOR NO KEY UPDATE) a;
    -- With the locks held: which of them nobody has settled meanwhile.
    SELECT array_agg(d.id) INTO v_open FROM unnest(v_due) AS d (id)
     WHERE NOT EXISTS (SELECT FROM ledger_transfer r WHERE r.pending_id = d.id);
    IF v_open IS NOT NULL THEN
        PERFORM ledger_release(v_open, v_at);
    END IF;
    DELETE FROM ledger_pendingtimeout WHERE transfer_id = ANY (v_due);
    released := coalesce(cardinality(v_open), 0);
END $$;
