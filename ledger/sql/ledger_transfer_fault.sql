-- What is wrong with a transfer that settles nothing, whatever its accounts hold, in TigerBeetle's
-- order of precedence.
--
-- Arguments: flags to code: the transfer, as in ledger_post; d_*, c_*: the debit and the credit
--   account, null where there is none in the scope.
-- Returns: a code of ledger.status.TransferStatus, or null.
-- Errors: none.
-- Callers: none. Called by ledger_batch_faults, which runs as app_definer.
CREATE OR REPLACE FUNCTION ledger_transfer_fault(
    flags int, debit uuid, credit uuid, amount bigint, ledger int, code int, pending uuid,
    timeout int, d_ledger int, c_ledger int, d_merchant uuid, c_merchant uuid, d_reseller uuid,
    c_reseller uuid
) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN debit IS NULL OR debit = '00000000-0000-0000-0000-000000000000' THEN 8
        WHEN debit = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 9
        WHEN credit IS NULL OR credit = '00000000-0000-0000-0000-000000000000' THEN 10
        WHEN credit = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN 11
        WHEN debit = credit THEN 12
        WHEN pending <> '00000000-0000-0000-0000-000000000000' THEN 13
        WHEN flags & 2 = 0 AND timeout <> 0 THEN 17
        WHEN flags & 2 = 0 AND flags & 192 <> 0 THEN 64
        WHEN amount IS NULL AND flags & 48 = 0 THEN 18
        WHEN amount = 0 AND flags & 192 = 0 THEN 18
        WHEN amount < 0 THEN 218
        WHEN ledger IS NULL OR ledger = 0 THEN 19
        WHEN code IS NULL OR code = 0 THEN 20
        WHEN d_ledger IS NULL THEN 21
        WHEN c_ledger IS NULL THEN 22
        WHEN d_ledger <> c_ledger THEN 23
        WHEN d_ledger <> ledger THEN 24
        WHEN d_merchant <> c_merchant THEN 224
        WHEN d_reseller <> c_reseller THEN 225 END
$$;
