-- One million transfers a call, as a year of them would lie there: the i-th debits wallet i modulo 10000
-- and credits another account by turns, so that the balances after each are known without a sum.
INSERT INTO ledger_transfer (
    id, debit_account_id, credit_account_id, amount, "timestamp", booked_at, ledger, code, flags,
    document_id, debit_debits_pending, debit_debits_posted, debit_credits_pending,
    debit_credits_posted, credit_debits_pending, credit_debits_posted, credit_credits_pending,
    credit_credits_posted)
SELECT overlay(md5('filling ' || i) placing lpad(to_hex(i), 12, '0') from 1 for 12)::uuid,
       md5('account ' || 1 + mod(i, 10000))::uuid,
       md5('account ' || 10001 + mod(i * 7919, 10000))::uuid, 1, nextval('ledger_timestamp'),
       timestamptz '2025-01-01 00:00+00' + i * interval '3 seconds', 8400, 10, 0,
       md5('document ' || i / 3)::uuid, 0, 1 + i / 10000, 0, 1000000000000, 0, 0, 0, 1 + i / 10000
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + 999999) i;
