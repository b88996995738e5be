-- Whether two open accounts hold enough for an amount, as one transfer finds in most cases. What is
-- wrong where they do not, if anything is, ledger_balance_fault says.
--
-- Arguments: moved: the amount; d_*, c_*: flags and balances of the debit and the credit account.
--   Amounts are in minor units.
-- Returns: true where nothing is wrong; not true also for an amount of zero.
-- Errors: none.
-- Callers: none. Called by ledger_batch_judge and ledger_post_single, which run as app_definer.
CREATE OR REPLACE FUNCTION ledger_covers(
    moved bigint, d_flags bigint, d_debits_pending bigint, d_debits bigint, d_credits bigint,
    c_flags bigint, c_credits_pending bigint, c_credits bigint, c_debits bigint
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT moved > 0 AND (d_flags | c_flags) & 32 = 0
        AND d_debits_pending + d_debits
            <= CASE d_flags & 2 WHEN 0 THEN 9223372036854775807 ELSE d_credits END - moved
        AND c_credits_pending + c_credits
            <= CASE c_flags & 4 WHEN 0 THEN 9223372036854775807 ELSE c_debits END - moved
$$;
