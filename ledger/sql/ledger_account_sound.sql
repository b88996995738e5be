-- Whether the balances of an account may be stored: the check constraint ledger_account_sound. The
-- constraint is a function because PostgreSQL reads a constraint's expression again for every
-- statement, and a call reads five times as quickly as what is in it.
--
-- Arguments: dp, d, cp, c: debits pending and posted, credits pending and posted, in minor units;
--   flags: ledger.flags.AccountFlags.
-- Returns: false for a negative balance, and for one that the account's flags forbid.
-- Errors: none.
-- Callers: PUBLIC. The check constraint of ledger_account calls it.
CREATE OR REPLACE FUNCTION ledger_account_sound(dp bigint, d bigint, cp bigint, c bigint, flags int)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (dp | d | cp | c) >= 0 AND CASE flags & 6
        WHEN 0 THEN true
        WHEN 2 THEN dp + d <= c
        WHEN 4 THEN cp + c <= d
        ELSE false END;
END $$;
