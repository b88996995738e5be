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
        WITH expired AS MATERIALIZED (
            SELECT p.*, s.account_id, s.debits, s.credits, s.reopens, row_number() OVER w AS place,
                   sum(s.debits) OVER (PARTITION BY s.account_id ORDER BY p."timestamp") AS debits_so_far,
                   sum(s.credits) OVER (PARTITION BY s.account_id ORDER BY p."timestamp")
                       AS credits_so_far
              FROM ledger_transfer p,
                   LATERAL (VALUES
                       (p.debit_account_id, p.amount, 0::bigint, (p.flags & 64) <> 0),
                       (p.credit_account_id, 0::bigint, p.amount, (p.flags & 128) <> 0)
                   ) s (account_id, debits, credits, reopens)
             WHERE p.id = ANY (v_open)
            WINDOW w AS (ORDER BY p."timestamp", s.debits DESC)
        ), sums AS (
            SELECT account_id, sum(debits) AS debits, sum(credits) AS credits,
                   bool_or(reopens) AS reopens
              FROM expired GROUP BY account_id
        ), sides AS MATERIALIZED (
            SELECT e.*, a.debits_pending AS dp, a.debits_posted AS d, a.credits_pending AS cp,
                   a.credits_posted AS c, a.flags AS account_flags
              FROM expired e JOIN ledger_account a ON a.id = e.account_id
        ), booked AS (
            INSERT INTO ledger_transfer (
                id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger,
                code, flags, pending_id, document_id, merchant_id, reseller_id,
                debit_debits_pending, debit_debits_posted, debit_credits_pending,
                debit_credits_posted, credit_debits_pending, credit_debits_posted,
                credit_credits_pending, credit_credits_posted)
            SELECT md5('expiry of ' || l.id)::uuid, l.debit_account_id, l.credit_account_id,
                   l.amount, nextval('ledger_timestamp'),
                   v_at + l.place * interval '1 microsecond',
                   l.ledger, l.code, 512, l.id, l.document_id, l.merchant_id, l.reseller_id,
                   l.h * (l.dp - l.debits_so_far), l.h * l.d, l.h * (l.cp - l.credits_so_far),
                   l.h * l.c, r.h * (r.dp - r.debits_so_far), r.h * r.d,
                   r.h * (r.cp - r.credits_so_far), r.h * r.c
              FROM (SELECT *, CASE WHEN (account_flags & 8) <> 0 THEN 1 END AS h
                      FROM sides WHERE account_id = debit_account_id) l
              JOIN (SELECT *, CASE WHEN (account_flags & 8) <> 0 THEN 1 END AS h
                      FROM sides WHERE account_id = credit_account_id) r ON r.id = l.id
             ORDER BY l.place
        )
        UPDATE ledger_account a
           SET debits_pending = a.debits_pending - s.debits,
               credits_pending = a.credits_pending - s.credits,
               flags = CASE WHEN s.reopens THEN a.flags & ~32 ELSE a.flags END,
               last_booked_at = v_at + (2 * cardinality(v_open)) * interval '1 microsecond'
          FROM sums s WHERE a.id = s.account_id;
    END IF;
    DELETE FROM ledger_pendingtimeout WHERE transfer_id = ANY (v_due);
    released := coalesce(cardinality(v_open), 0);
END $$;
