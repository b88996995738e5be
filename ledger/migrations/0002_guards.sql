-- What must never be, the database itself refuses: an overdraft of a limited account, a transfer of
-- nothing, a transfer changed or deleted, a row written by anything but the posting functions.

ALTER TABLE ledger_account
    ADD CONSTRAINT ledger_account_debits_limit CHECK (
        (flags & 2) = 0 OR debits_pending + debits_posted <= credits_posted),
    ADD CONSTRAINT ledger_account_credits_limit CHECK (
        (flags & 4) = 0 OR credits_pending + credits_posted <= debits_posted),
    ADD CONSTRAINT ledger_account_one_limit CHECK ((flags & 6) <> 6);

-- Only what closes an account, and what settles that, may move nothing.
ALTER TABLE ledger_transfer
    ADD CONSTRAINT ledger_transfer_amount_positive CHECK (
        amount > 0 OR (amount = 0 AND (flags & 716) <> 0)),
    ADD CONSTRAINT ledger_transfer_pending_named CHECK (
        (pending_id IS NOT NULL) = ((flags & 524) <> 0));

-- Balance updates stay HOT: room on the page, and no index on what changes.
ALTER TABLE ledger_account SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
-- Nothing is ever updated or deleted there; vacuum only has to freeze.
ALTER TABLE ledger_transfer SET (autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE SEQUENCE ledger_timestamp AS bigint;
ALTER SEQUENCE ledger_timestamp OWNED BY ledger_transfer."timestamp";
CREATE INDEX ledger_transfer_timestamp ON ledger_transfer USING brin ("timestamp")
    WITH (pages_per_range = 16, autosummarize = on);

CREATE FUNCTION ledger_refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse(
        'the journal is append-only; book a transfer that corrects it');
CREATE TRIGGER posted_only BEFORE INSERT ON ledger_transfer
    FOR EACH STATEMENT WHEN (current_user <> 'app_definer') EXECUTE FUNCTION ledger_refuse(
        'transfers are booked by ledger_post() alone');
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('accounts are closed, never deleted');
CREATE TRIGGER posted_only BEFORE INSERT OR UPDATE ON ledger_account
    FOR EACH STATEMENT WHEN (current_user <> 'app_definer') EXECUTE FUNCTION ledger_refuse(
        'balances change by ledger_post(), accounts are opened by ledger_open()');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_failedtransfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('an id that failed stays refused for ever');

CREATE FUNCTION ledger_account_identity() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'account % keeps its identity: only balances and the closed flag change', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER identity BEFORE UPDATE ON ledger_account
    FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.ledger <> NEW.ledger OR OLD.code <> NEW.code
        OR OLD.name <> NEW.name OR (OLD.flags & ~32) <> (NEW.flags & ~32))
    EXECUTE FUNCTION ledger_account_identity();

-- A transit account is zero whenever a transaction commits. The row is read again at the commit:
-- the one that queued the check may have been moved on since.
CREATE FUNCTION ledger_transit_zero() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    rest bigint;
BEGIN
    SELECT credits_posted - debits_posted INTO rest FROM ledger_account WHERE id = NEW.id;
    IF rest <> 0 THEN
        RAISE EXCEPTION 'transit account % would keep a balance of %', NEW.name, rest
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transit_zero AFTER UPDATE ON ledger_account
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((NEW.flags & 256) <> 0)
    EXECUTE FUNCTION ledger_transit_zero();

GRANT SELECT ON ledger_accountcode TO app_definer, app_merchant, app_reseller, app_staff, app_worker;
GRANT USAGE, SELECT ON SEQUENCE ledger_timestamp TO app_definer, app_worker;
ALTER FUNCTION ledger_transit_zero() OWNER TO app_definer;
