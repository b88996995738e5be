-- Which of an account's balances would become more than a bigint holds.
--
-- Arguments: flags, moved: of the transfer; d_*, c_*: balances of the debit and the credit account,
--   in minor units. One of the sums is too large.
-- Returns: a code of ledger.status.TransferStatus.
-- Errors: none.
-- Callers: none. Called by ledger_balance_fault, in functions that run as app_definer. In PL/pgSQL,
--   so that it stays a call: what is put in place of a call is prepared in each transaction.
CREATE OR REPLACE FUNCTION ledger_overflow_fault(
    flags int, moved bigint, d_debits_pending bigint, d_debits bigint, c_credits_pending bigint,
    c_credits bigint
) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    room CONSTANT bigint := 9223372036854775807 - moved;
BEGIN
    RETURN CASE
        WHEN flags & 2 <> 0 AND d_debits_pending > room THEN 47
        WHEN flags & 2 <> 0 AND c_credits_pending > room THEN 48
        WHEN d_debits > room THEN 49
        WHEN c_credits > room THEN 50
        WHEN d_debits_pending > room - d_debits THEN 51
        ELSE 52 END;
END $$;
