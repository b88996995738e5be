-- What the accounts have against a transfer that settles nothing: closed, or without the balance.
--
-- Arguments: flags: of the transfer; moved: the amount that it would move (ledger_moved_minor);
--   d_*, c_*: flags and balances, in minor units, of the debit and the credit account.
-- Returns: a code of ledger.status.TransferStatus, or null.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_balance_fault(
    flags int, moved bigint, d_flags bigint, d_debits_pending bigint,
    d_debits bigint, d_credits bigint, c_flags bigint, c_credits_pending bigint, c_credits bigint,
    c_debits bigint
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN d_flags & 32 <> 0 THEN 65
        WHEN c_flags & 32 <> 0 THEN 66
        -- There is nothing to move, and a transfer must move something.
        WHEN moved = 0 AND flags & 192 = 0 THEN
            CASE WHEN flags & 16 <> 0 AND d_credits - d_debits - d_debits_pending <= 0 THEN 54
                 ELSE 55 END
        WHEN moved > 9223372036854775807 - d_debits - d_debits_pending
             OR moved > 9223372036854775807 - c_credits - c_credits_pending
        THEN ledger_overflow_fault(flags, moved, d_debits_pending, d_debits, c_credits_pending,
                                   c_credits)
        WHEN d_flags & 2 <> 0 AND d_debits_pending + d_debits + moved > d_credits THEN 54
        WHEN c_flags & 4 <> 0 AND c_credits_pending + c_credits + moved > c_debits THEN 55 END
$$;
