-- The amount that a balancing transfer would move: at most what the debit account holds, or the
-- credit account lacks.
--
-- Arguments: flags, amount: of the transfer; the amount is null for as much as there is; d_*, c_*:
--   balances of the debit and the credit account. All in minor units.
-- Returns: the amount in minor units, from 0.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_moved_minor(
    flags int, amount bigint, d_debits_pending bigint, d_debits bigint, d_credits bigint,
    c_credits_pending bigint, c_credits bigint, c_debits bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(
        coalesce(amount, 9223372036854775807),
        CASE WHEN flags & 16 <> 0 THEN greatest(d_credits - d_debits - d_debits_pending, 0) END,
        CASE WHEN flags & 32 <> 0 THEN greatest(c_debits - c_credits - c_credits_pending, 0) END)
$$;
