-- Refuse a statement on a table that is append-only. Row-level security is forced and has no policy
-- for the owner, so rows come from the posting functions alone; what is left to refuse is what they
-- themselves must never do, and TRUNCATE.
--
-- Arguments: none; TG_ARGV[0] is the reason, which the message ends with. Triggers append_only on
--   ledger_transfer, ledger_failedtransfer and ledger_fxconversion, never_deleted on
--   ledger_account.
-- Returns: never.
-- Errors: restrict_violation, always.
-- Callers: PUBLIC. A trigger function, which only a trigger runs.
CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END $$;
