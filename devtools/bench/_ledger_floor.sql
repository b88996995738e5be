-- The ruler: a double-entry posting as plainly as plpgsql allows it, and still safe: both rows locked
-- in order, an overdraft refused, an id booked once. It never changes, whatever ours learns.
CREATE SCHEMA floor;
CREATE TABLE floor.account (
    id uuid PRIMARY KEY, ledger int NOT NULL, flags int NOT NULL,
    debits_pending bigint NOT NULL DEFAULT 0, debits_posted bigint NOT NULL DEFAULT 0,
    credits_pending bigint NOT NULL DEFAULT 0, credits_posted bigint NOT NULL DEFAULT 0,
    CHECK ((flags & 2) = 0 OR debits_pending + debits_posted <= credits_posted)
) WITH (fillfactor = 70);
CREATE TABLE floor.transfer (
    id uuid PRIMARY KEY, debit_account_id uuid NOT NULL, credit_account_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0), ledger int NOT NULL, code smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON floor.transfer (debit_account_id, created_at);
CREATE INDEX ON floor.transfer (credit_account_id, created_at);
CREATE FUNCTION floor.post(p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    a floor.account; d floor.account; c floor.account;
BEGIN
    FOR a IN SELECT * FROM floor.account WHERE id IN (p_debit, p_credit)
             ORDER BY id FOR NO KEY UPDATE LOOP
        IF a.id = p_debit THEN d := a; ELSE c := a; END IF;
    END LOOP;
    IF d.id IS NULL OR c.id IS NULL THEN RETURN 21; END IF;
    IF d.ledger <> c.ledger THEN RETURN 23; END IF;
    IF d.flags & 2 <> 0 AND d.debits_pending + d.debits_posted + p_amount > d.credits_posted THEN
        RETURN 54;
    END IF;
    INSERT INTO floor.transfer (id, debit_account_id, credit_account_id, amount, ledger, code)
    VALUES (p_id, p_debit, p_credit, p_amount, d.ledger, 1) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN 46; END IF;
    UPDATE floor.account SET debits_posted = debits_posted + p_amount WHERE id = p_debit;
    UPDATE floor.account SET credits_posted = credits_posted + p_amount WHERE id = p_credit;
    RETURN 0;
END $$;
INSERT INTO floor.account (id, ledger, flags, credits_posted)
SELECT md5('account ' || i)::uuid, 8400, CASE WHEN i <= 10000 THEN 2 ELSE 0 END, 1000000000000
  FROM generate_series(1, 20000) i;
VACUUM ANALYZE floor.account;
