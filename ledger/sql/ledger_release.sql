-- Release pending transfers that are over, each with a transfer of its own (flag 512).
--
-- Arguments: p_ids: pending transfers that are not settled, with their accounts locked; p_at: a time
--   after whatever the accounts have seen.
-- Returns: nothing.
-- Errors: none.
-- Callers: none. Called by ledger_expire, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_release(p_ids uuid[], p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
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
         WHERE p.id = ANY (p_ids)
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
               p_at + l.place * interval '1 microsecond',
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
           last_booked_at = p_at + (2 * cardinality(p_ids)) * interval '1 microsecond'
      FROM sums s WHERE a.id = s.account_id;
END $$;
