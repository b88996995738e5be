-- What must never be, the database itself refuses: an overdraft of a limited account, a transfer of
-- nothing, a transfer changed or deleted, a row written by anything but the posting functions.

-- The constraints are functions because PostgreSQL reads a constraint's expression anew for every
-- statement, and a call reads five times as quickly as what is in it.
CREATE FUNCTION ledger_account_sound(dp bigint, d bigint, cp bigint, c bigint, flags int)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (dp | d | cp | c) >= 0 AND CASE flags & 6
        WHEN 0 THEN true
        WHEN 2 THEN dp + d <= c
        WHEN 4 THEN cp + c <= d
        ELSE false END;
END $$;
ALTER TABLE ledger_account ADD CONSTRAINT ledger_account_sound CHECK (ledger_account_sound(
    debits_pending, debits_posted, credits_pending, credits_posted, flags));

-- Only what closes an account, and what settles that, may move nothing.
CREATE FUNCTION ledger_transfer_sound(
    amount bigint, debit uuid, credit uuid, pending uuid, flags int
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (amount > 0 OR (amount = 0 AND (flags & 716) <> 0)) AND debit <> credit
        AND (pending IS NULL) = ((flags & 524) = 0);
END $$;
ALTER TABLE ledger_transfer ADD CONSTRAINT ledger_transfer_sound CHECK (ledger_transfer_sound(
    amount, debit_account_id, credit_account_id, pending_id, flags));

-- Balance updates stay HOT: room on the page, and no index on what changes.
ALTER TABLE ledger_account SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
-- Nothing is ever updated or deleted there; vacuum only has to freeze.
ALTER TABLE ledger_transfer SET (autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE SEQUENCE ledger_timestamp AS bigint;
ALTER SEQUENCE ledger_timestamp OWNED BY ledger_transfer."timestamp";
CREATE INDEX ledger_transfer_timestamp ON ledger_transfer USING brin ("timestamp")
    WITH (pages_per_range = 16, autosummarize = on);

-- Row-level security is forced and has no policy for the owner: rows come from the posting functions
-- alone. What is left to refuse is what they themselves must never do, and TRUNCATE.
CREATE FUNCTION ledger_refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse(
        'the journal is append-only; book a transfer that corrects it');
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('accounts are closed, never deleted');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_failedtransfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('an id that failed stays refused for ever');

-- An account keeps its identity: only its balances, its closed flag and the time change.
REVOKE UPDATE ON ledger_account FROM app_definer;
GRANT UPDATE (debits_pending, debits_posted, credits_pending, credits_posted, flags, last_booked_at)
    ON ledger_account TO app_definer;

-- A transit account is zero whenever a transaction commits. Posting to one leaves a row here, and
-- the check waits on that row until the commit, when the account is read as it then stands.
CREATE FUNCTION ledger_transit_zero() RETURNS trigger
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
CREATE CONSTRAINT TRIGGER transit_zero AFTER INSERT ON ledger_transitcheck
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transit_zero();

GRANT SELECT ON ledger_accountcode TO app_definer, app_merchant, app_reseller, app_staff, app_worker;
GRANT USAGE, SELECT ON SEQUENCE ledger_timestamp TO app_definer, app_worker;
GRANT USAGE ON SEQUENCE ledger_transitcheck_id_seq TO app_definer;
ALTER FUNCTION ledger_transit_zero() OWNER TO app_definer;

CREATE FUNCTION ledger_check_transit(p_ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO ledger_transitcheck (account_id)
    SELECT id FROM ledger_account WHERE id = ANY (p_ids) AND (flags & 256) <> 0
$$;
