-- Ten thousand funded wallets that may not be overdrawn, ten thousand accounts to pay to, one bank.
SELECT set_config('role', 'app_worker', false);
SELECT count(*) FROM (SELECT ledger_open(
    array_agg(md5('account ' || i)::uuid), array_agg('account ' || i),
    array_agg(CASE WHEN i <= 10000 THEN 2080 ELSE 2040 END), array_agg(8400),
    array_agg('USD'::text), array_agg(false), NULL::uuid[], NULL::uuid[], NULL::uuid[])
  FROM generate_series(1, 20000) i) x;
SELECT count(*) FROM (SELECT ledger_open(
    ARRAY[md5('bank')::uuid], ARRAY['bank'], ARRAY[1020], ARRAY[8400], ARRAY['USD'], ARRAY[false],
    NULL::uuid[], NULL::uuid[], NULL::uuid[])) x;
SELECT count(*) FROM (SELECT ledger_post(
    array_agg(md5('funding ' || i)::uuid), array_agg(md5('bank')::uuid),
    array_agg(md5('account ' || i)::uuid), array_agg(1000000000000), array_agg(8400),
    array_agg(91))
  FROM generate_series(1, 10000) i GROUP BY i / 5000) x;
RESET role;
VACUUM ANALYZE ledger_account, ledger_transfer;
