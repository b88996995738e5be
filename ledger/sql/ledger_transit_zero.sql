-- Hold a transit account at zero whenever a transaction commits. Posting to one leaves a row in
-- ledger_transitcheck, and the check waits on that row until the commit, when the account is read
-- as it is then.
--
-- Arguments: none; the row of the trigger transit_zero (AFTER INSERT, deferred to the commit) on
--   ledger_transitcheck.
-- Returns: null; the row is deleted.
-- Errors: integrity_constraint_violation where the account's posted balance is not zero.
-- Callers: PUBLIC. Runs as app_definer. A trigger function, which only a trigger runs.
CREATE OR REPLACE FUNCTION ledger_transit_zero() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    a record;
BEGIN
    SELECT name, credits_posted - debits_posted AS rest INTO a FROM ledger_account
     WHERE id = NEW.account_id;
    IF a.rest <> 0 THEN
        RAISE EXCEPTION 'transit account % would keep a balance of %', a.name, a.rest
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    DELETE FROM ledger_transitcheck WHERE account_id = NEW.account_id;
    RETURN NULL;
END $$;
